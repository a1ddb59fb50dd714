"""Which files of folders are documents: walked, chosen by patterns, told apart by their path."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from embeddings.errors import InvalidInput
from service.naming import MEDIA_TYPES

JUNK = ("node_modules", "__pycache__", "Thumbs.db", "desktop.ini", "~$*", "*~")
"""Never documents, whatever folder they lie in; nor is what is hidden, with a dot before its name."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    root: Path
    """The folder that was named, or that of the file that was named."""
    path: Path

    @property
    def uri(self) -> str:
        return self.path.as_uri()

    @property
    def parts(self) -> tuple[str, ...]:
        """Of its path within the folder."""
        return self.path.relative_to(self.root).parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    files: tuple[FoundFile, ...]
    """By path, each once."""
    roots: tuple[Path, ...]
    """The folders that were walked."""
    skipped: Counter[str]
    """Files that were left out since they look like no document, by their ending."""
    unreadable: tuple[tuple[str, str], ...]
    """Paths that could not be looked into, and why."""


class Patterns:
    """As in `.gitignore`: `*` and `?` within a name, `**` across folders; without a slash it fits at any depth."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Raises InvalidInput."""
        try:
            self._wanted = re.compile("|".join(map(_expression, patterns)), re.DOTALL) if patterns else None
        except re.error as error:
            raise InvalidInput(f"This is no pattern: {', '.join(patterns)} ({error.msg}).") from None

    def __bool__(self) -> bool:
        return self._wanted is not None

    def match(self, relative: str) -> bool:
        """Whether one of them fits the path, or a folder above it."""
        return self._wanted is not None and self._wanted.fullmatch(relative) is not None


_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[[^]/]+]|[^*?[]+|\[")
_MEANING = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def _expression(pattern: str) -> str:
    place = pattern.strip("/")
    above = "" if "/" in pattern.rstrip("/") else "(?:.*/)?"
    return f"(?:{above}{''.join(map(_translated, _TOKEN.findall(place)))}(?:/.*)?)"


def _translated(token: str) -> str:
    if len(token) > 2 and token.startswith("["):
        return f"[{'^' * (token[1] == '!')}{re.escape(token[1:-1].lstrip('!')).replace(chr(92) + '-', '-')}]"
    return _MEANING.get(token) or re.escape(token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which files of a folder are taken."""

    include: Patterns = field(default_factory=lambda: Patterns(()))
    """Without any: files whose ending tells a kind that is read, and those without an ending that hold text."""
    exclude: Patterns = field(default_factory=lambda: Patterns(()))
    hidden: bool = False
    never: tuple[Path, ...] = ()
    """Folders that are not walked, such as the one that holds the data."""

    def enters(self, folder: Path, relative: str) -> bool:
        return folder not in self.never and not self._leaves_out(folder.name, relative)

    def missed(self, path: Path, relative: str) -> str | None:
        """None where the file is taken; else the ending that it is left out for, empty where it is unwanted anyway."""
        if self._leaves_out(path.name, relative):
            return ""
        if self.include:
            return None if self.include.match(relative) else ""
        ending = path.suffix.lower()
        if ending in MEDIA_TYPES or (not ending and _is_text(path)):
            return None
        return ending or "without an ending"

    def _leaves_out(self, name: str, relative: str) -> bool:
        is_hidden = name.startswith(".") and not self.hidden
        return is_hidden or _JUNK.match(name) or self.exclude.match(relative)


_JUNK = Patterns(JUNK)


def find(named: Sequence[str], choice: Choice) -> Found:
    """The files that the names mean: files, folders with all that is in them, and patterns such as `docs/**/*.md`."""
    files: dict[Path, FoundFile] = {}
    roots: list[Path] = []
    skipped: Counter[str] = Counter()
    unreadable: list[tuple[str, str]] = []
    for name in named:
        for root, path in _meant(name, unreadable):
            if path.is_dir():
                roots.append(path)
                found = _walk(root, path, choice, skipped, unreadable)
            else:
                found = iter([FoundFile(root, path)])
            for one in found:
                files.setdefault(one.path, one)
    return Found(
        files=tuple(sorted(files.values(), key=lambda one: one.path)),
        roots=tuple(dict.fromkeys(roots)),
        skipped=skipped,
        unreadable=tuple(unreadable),
    )


def _meant(name: str, unreadable: list[tuple[str, str]]) -> Iterator[tuple[Path, Path]]:
    """What a name or a pattern stands for, each with the folder that its path is told from."""
    given = Path(os.path.abspath(os.path.expanduser(name)))
    if given.is_dir():
        yield given, given
    elif given.exists():
        yield given.parent, given
    elif glob.has_magic(name):
        root = _fixed_part(given)
        matched = sorted(glob.glob(str(given), recursive=True))
        if not matched:
            unreadable.append((name, "No file fits this pattern."))
        yield from ((root, Path(one)) for one in matched if one.rstrip(os.sep) != str(root))
    else:
        unreadable.append((name, "There is no such file or folder."))


def _fixed_part(pattern: Path) -> Path:
    """The folder above the first part with a wildcard."""
    return next(above for above in pattern.parents if not glob.has_magic(str(above)))


def _walk(
    root: Path, folder: Path, choice: Choice, skipped: Counter[str], unreadable: list[tuple[str, str]]
) -> Iterator[FoundFile]:
    def note(error: OSError) -> None:
        unreadable.append((str(error.filename), f"{error.strerror}."))

    for place, folders, names in os.walk(folder, onerror=note):
        above = Path(place)
        within = partial(_relative, root, above)
        folders[:] = sorted(name for name in folders if choice.enters(above / name, within(name)))
        for name in names:
            missed = choice.missed(above / name, within(name))
            if missed is None:
                yield FoundFile(root, above / name)
            elif missed:
                skipped[missed] += 1


def _relative(root: Path, above: Path, name: str) -> str:
    return (above / name).relative_to(root).as_posix()


def _is_text(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"\0" not in file.read(4096)
    except OSError:
        return True  # It is told of when it is read.


def path_of_uri(uri: str | None) -> Path | None:
    """The file that a `file:` URI means on this machine; None for any other."""
    if uri is None or not uri.startswith("file:///"):
        return None
    return Path(os.fsdecode(unquote_to_bytes(urlsplit(uri).path)))


def is_gone(path: Path) -> bool:
    """Whether the file is no longer there. What cannot be looked at is not gone."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
