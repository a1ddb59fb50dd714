"""reStructuredText, and Python's enhancement proposals, which are written in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import takewhile
from typing import Any

from embeddings.domain import LoadedDocument, MetadataValue, Source
from embeddings.errors import InvalidText
from embeddings.loaders.composing import Composition
from embeddings.loaders.decoding import decoded, require_readable
from embeddings.loaders.rendering import render

_HEADER = re.compile(r"PEP: *\d+\n(?:[A-Z][\w-]*:[^\n]*\n(?:[ \t]+[^\n]*\n)*)+")
_FIELD = re.compile(r"^([A-Z][\w-]*):[ \t]*(.*(?:\n[ \t]+.*)*)", re.MULTILINE)
_NAMES = {"Author": "author", "Status": "status", "Type": "type", "Topic": "topic", "Python-Version": "python_version"}
_ROLE = re.compile(r":([a-zA-Z][\w:+.-]{0,60}):`")
_DIRECTIVE = re.compile(r"^ *\.\. +(?:\|[^|\n]*\| +)?([a-zA-Z][\w:+.-]*)::", re.MULTILINE)
_TARGET = re.compile(r"(.*?)\s*<[^<>]*>", re.DOTALL)
_NUMBERED = ("pep", "rfc")
_LISTS_OF_FILES = ("autosummary", "toctree")
_OPTION = re.compile(r":[\w-]+:")
_UNREADABLE = "The reStructuredText could not be parsed; it was read as plain text."
_SETTINGS = {
    "_disable_config": True,
    "doctitle_xform": False,
    "embed_stylesheet": False,
    "file_insertion_enabled": False,
    "halt_level": 5,
    "input_encoding": "unicode",
    "line_length_limit": 100_000,
    "math_output": "LaTeX",
    "output_encoding": "unicode",
    "raw_enabled": False,
    "report_level": 5,
    "section_self_link": False,
    "smart_quotes": False,
    "stylesheet_path": None,
    "syntax_highlight": "none",
    "toc_backlinks": False,
}


class RstLoader:
    """Rendered by docutils, without included files and raw HTML; what only Sphinx knows is read as text."""

    media_types: tuple[str, ...] = ("text/x-rst", "text/prs.fallenstein.rst", "text/restructuredtext")

    def load(self, source: Source) -> LoadedDocument:
        text, warnings = decoded(source)
        require_readable(text)
        header = _HEADER.match(text)
        body = text[header.end() :] if header else text
        fields = {name: " ".join(value.split()) for name, value in _FIELD.findall(header.group())} if header else {}
        composition = Composition()
        composition.add("\n".join(f"{name}: {value}" for name, value in fields.items() if value))
        title = f"PEP {fields['PEP']} – {fields['Title']}" if fields.get("Title") else None
        try:
            rendered = render(_rendered(body))
            composition.add_document(rendered)
            title, warnings = title or rendered.title, (*warnings, *rendered.warnings)
        except InvalidText:
            pass  # nothing but the header: then that is all there is to read
        except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError):
            composition.add(body)
            warnings = (*warnings, _UNREADABLE)
        return composition.document(title=title, metadata=_metadata(fields), warnings=warnings)


def _metadata(fields: Mapping[str, str]) -> dict[str, MetadataValue]:
    metadata: dict[str, MetadataValue] = {name: fields[key] for key, name in _NAMES.items() if fields.get(key)}
    if created := _date(fields.get("Created", "")):
        metadata["created_at"] = created
    return metadata


def _date(written: str) -> str | None:
    for layout in ("%d-%b-%Y", "%Y-%m-%d", "%d-%B-%Y"):
        try:
            return datetime.strptime(written, layout).date().isoformat()
        except ValueError:
            continue
    return None


def _rendered(text: str) -> str:
    from docutils.core import publish_parts

    with _sphinx_words(text):
        return str(publish_parts(text, writer="html5", settings_overrides=_SETTINGS)["html_body"])


@contextmanager
def _sphinx_words(text: str) -> Iterator[None]:
    """Lets docutils read, for as long as this lasts, the roles and directives of a text that it does not know."""
    from docutils.parsers.rst import directives, roles

    known_roles, known_directives = dict(roles._roles), dict(directives._directives)
    try:
        for name in {found.lower() for found in _ROLE.findall(text)}:
            if name in _NUMBERED or (name not in roles._role_registry and name not in _standard_names("roles")):
                roles.register_local_role(name, _read_role)
        for name in {found.lower() for found in _DIRECTIVE.findall(text)}:
            if name not in directives._directive_registry and name not in _standard_names("directives"):
                directives.register_directive(name, _reading_directive())
        yield
    finally:
        for registry, known in ((roles._roles, known_roles), (directives._directives, known_directives)):
            registry.clear()
            registry.update(known)


def _standard_names(kind: str) -> dict[str, str]:
    from docutils.parsers.rst.languages import en

    return dict(getattr(en, kind))


def _read_role(role: str, raw: str, text: str, *_: Any, **__: Any) -> tuple[list[Any], list[Any]]:
    from docutils import nodes, utils

    shown = utils.unescape(text)
    if role in _NUMBERED and shown.isdigit():
        return [nodes.inline(raw, f"{role.upper()} {shown}")], []
    named = _TARGET.fullmatch(shown)
    shown = named.group(1) if named and named.group(1) else shown.lstrip("!~").strip("<>")
    return [nodes.inline(raw, shown)], []


def _reading_directive() -> Any:
    from docutils import nodes
    from docutils.parsers.rst import Directive

    class Reading(Directive):  # type: ignore[misc]
        has_content = True

        def run(self) -> list[Any]:
            node = nodes.container()
            if self.name in _LISTS_OF_FILES:
                return []
            start = next((at for at, line in enumerate(self.content[:2]) if _OPTION.match(line)), 0)
            options = sum(1 for _ in takewhile(_OPTION.match, self.content[start:]))
            self.state.nested_parse(self.content[: start if options else None], self.content_offset, node)
            if options:
                self.state.nested_parse(self.content[start + options :], self.content_offset + start + options, node)
            return [node]

    return Reading
