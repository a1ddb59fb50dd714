"""The Python Enhancement Proposals as plain text, and questions made of their titles and headings."""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TITLE = re.compile(r"^Title:\s*(.+(?:\n[ \t]+.+)*)", re.MULTILINE)
_HEADING = re.compile(r"^(\S.{3,80})\n([=\-~'^\"])\2{3,}$", re.MULTILINE)
_IN_EVERY_PEP = frozenset({"abstract", "motivation", "rationale", "specification", "copyright", "references"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pep:
    document_id: str
    title: str
    text: str

    def questions(self) -> Iterator[str]:
        yield f"What does the proposal on {self.title} change?"
        for heading, _ in _HEADING.findall(self.text):
            if heading.casefold() not in _IN_EVERY_PEP:
                yield f"What does the proposal on {self.title} say about {heading.strip('`*.')}?"


def peps(data: Path) -> list[Pep]:
    """In the order of their numbers."""
    with tarfile.open(data / "corpora" / "peps_rst.tar.xz") as archive:
        texts = {
            Path(member.name).name: file.read().decode("utf-8")
            for member in archive.getmembers()
            if re.fullmatch(r"pep-\d{4}\.(rst|txt)", Path(member.name).name) and (file := archive.extractfile(member))
        }
    return [Pep(document_id=name, title=_title(text, name), text=text) for name, text in sorted(texts.items())]


def _title(text: str, name: str) -> str:
    found = _TITLE.search(text)
    return " ".join(found.group(1).replace("`", "").split()) if found else name


def questions(documents: list[Pep], most: int) -> list[str]:
    """Always the same ones, spread over all documents."""
    every = {question for document in documents for question in document.questions()}
    return sorted(every, key=lambda question: hashlib.sha256(question.encode()).digest())[:most]
