"""Questions with their accepted answers, one JSON object a line: those of the public data, and a user's own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from embeddings.domain import Span
from embeddings.errors import InvalidFilter
from embeddings.filters import parse_filter
from service.evaluation.errors import InvalidQuestions
from service.naming import document_id_of

FIELDS = (
    *("id", "type", "question", "filter", "answers", "items", "items_not_verbatim"),
    *("documents", "evidence", "alternatives"),
)
"""What is understood; other fields are the writer's own, unless they look like a misspelt one of these."""


@dataclass(frozen=True, slots=True)
class Evidence:
    document_id: str
    span: Span | None
    """None: anywhere in the document."""
    text: str | None = None
    """What stands there, where it has yet to be found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    question_id: str
    question: str
    kind: str = ""
    answers: tuple[str, ...] = ()
    """Any one will do, unless there are `items`."""
    items: tuple[str, ...] = ()
    """All are needed; alternatives are separated by `|`."""
    unspoken: frozenset[str] = frozenset()
    """Items that the text only implies."""
    evidence: tuple[Evidence, ...] = ()
    """Places that are all needed; a whole document where no place in it is named."""
    alternatives: tuple[Evidence, ...] = ()
    """Other places that say the same."""
    filter: Mapping[str, Any] | None = None

    @property
    def is_answerable(self) -> bool:
        return bool(self.answers or self.items)

    @property
    def golden(self) -> tuple[str, ...]:
        """What an answer's words are compared with."""
        return self.answers or (", ".join(item.split("|")[0] for item in self.items),) if self.is_answerable else ()


def read_questions(path: Path) -> list[Question]:
    """Raises InvalidQuestions."""
    try:
        content = path.read_text("utf-8-sig")
    except OSError as error:
        raise InvalidQuestions(f"{path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidQuestions(f"{path}: byte {error.start} is no UTF-8; save the file as UTF-8.") from None
    found = list(_questions(path, content))
    if not found:
        raise InvalidQuestions(
            f'{path} holds no questions; write one a line, like {{"question": "…", "answers": ["…"]}}.'
        )
    ((most, times),) = Counter(question.question_id for question in found).most_common(1)
    if times > 1:
        raise InvalidQuestions(f'{path}: {times} questions have the "id" "{most}"; give each its own.')
    return found


def _questions(path: Path, content: str) -> Iterator[Question]:
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            try:
                yield parse_question(json.loads(line), default_id=f"line-{number}")
            except json.JSONDecodeError as error:
                raise InvalidQuestions(
                    f"{path}, line {number}: this is no JSON ({error.msg} at column {error.colno}); write one object a"
                    " line, its keys and texts in double quotes."
                ) from None
            except RecursionError:
                raise InvalidQuestions(f"{path}, line {number}: brackets are nested too deep; take some out.") from None
            except ValueError as error:
                raise InvalidQuestions(f"{path}, line {number}: {error}") from None


def parse_question(record: object, *, default_id: str) -> Question:
    """Raises ValueError that says what is wrong and how to mend it."""
    if not isinstance(record, dict):
        raise ValueError('write an object, like {"question": "…", "answers": ["…"]}.')
    _refuse_misspelt(record)
    return Question(
        question_id=_text(record, "id", default=default_id),
        question=_text(record, "question"),
        kind=_text(record, "type", default=""),
        answers=_texts(record, "answers"),
        items=_texts(record, "items"),
        unspoken=frozenset(_texts(record, "items_not_verbatim")),
        evidence=_evidence(record),
        alternatives=_places(record, "alternatives"),
        filter=_filter(record),
    )


def _refuse_misspelt(record: Mapping[str, Any]) -> None:
    for name in record:
        if name not in FIELDS and (meant := get_close_matches(name, FIELDS, n=1, cutoff=0.8)):
            raise ValueError(f'there is no "{name}"; write "{meant[0]}".')


def _text(record: Mapping[str, Any], name: str, *, default: str | None = None) -> str:
    value = record.get(name, default)
    if isinstance(value, str) and (value.strip() or default == ""):
        return value
    if value is None:
        raise ValueError(f'"{name}" is missing; write "{name}": "…".')
    raise ValueError(f'"{name}" must be a text that is not empty; write "{name}": "…".')


def _texts(record: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = record.get(name) or []
    if not isinstance(value, list) or not all(isinstance(each, str) and each.strip() for each in value):
        raise ValueError(f'"{name}" must be a list of texts; write "{name}": ["…"].')
    return tuple(value)


def _evidence(record: Mapping[str, Any]) -> tuple[Evidence, ...]:
    places = _places(record, "evidence")
    placed = {place.document_id for place in places}
    documents = dict.fromkeys(map(document_id_of, _texts(record, "documents")))
    return places + tuple(Evidence(document, None) for document in documents if document not in placed)


def _places(record: Mapping[str, Any], name: str) -> tuple[Evidence, ...]:
    value = record.get(name) or []
    if not isinstance(value, list):
        raise ValueError(f'"{name}" must be a list; write "{name}": [{{"document": "…", "text": "…"}}].')
    return tuple(_place(each, name) for each in value)


def _place(record: object, name: str) -> Evidence:
    if isinstance(record, dict) and isinstance(record.get("document"), str):
        document, start, end = document_id_of(record["document"]), record.get("start"), record.get("end")
        text = record.get("text", record.get("quote"))
        if type(start) is int and type(end) is int and 0 <= start < end:
            return Evidence(document, Span(start, end))
        if isinstance(text, str) and text.strip() and start is None and end is None:
            return Evidence(document, None, text)
    raise ValueError(
        f'"{name}" must name places; write {{"document": "…", "text": "…"}}, or'
        ' {"document": "…", "start": 0, "end": 9} with its end after its start.'
    )


def _filter(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    raw = record.get("filter")
    if raw is None:
        return None
    try:
        parse_filter(raw)
    except InvalidFilter as error:
        raise ValueError(f'"filter": {error}') from None
    return dict(raw)


def located(question: Question, text_of: Callable[[str], str]) -> Question:
    """With every place found in its document. Raises ValueError; what `text_of` raises passes through."""
    return replace(
        question,
        evidence=tuple(_located(place, text_of) for place in question.evidence),
        alternatives=tuple(_located(place, text_of) for place in question.alternatives),
    )


def _located(place: Evidence, text_of: Callable[[str], str]) -> Evidence:
    text = text_of(place.document_id)
    if place.text is not None:
        start = text.find(place.text)
        if start < 0:
            raise ValueError(
                f'the evidence "{place.text[:60]}" does not stand in {place.document_id}; copy it from there'
            )
        return Evidence(place.document_id, Span(start, start + len(place.text)))
    if place.span is not None and place.span.end > len(text):
        raise ValueError(f"the evidence ends at {place.span.end}, and {place.document_id} has {len(text)} characters")
    return place
