"""A service asked as its users ask it: over HTTP where one runs, else in this process."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import typer

from embeddings.domain import Span
from service.calling import Call, Refused, calling, path_to
from service.evaluation.cases import PASSAGES, Case, Found, Reply, case
from service.evaluation.errors import InvalidQuestions
from service.evaluation.judging import Quote
from service.evaluation.questions import Question, located
from service.naming import document_id_of, media_type_of_file
from service.settings import Settings

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interview:
    call: Call
    collection: str
    passed_over: tuple[str, ...] = ()
    """Files of the folder that are no documents."""
    models: dict[str, str] = field(default_factory=dict)
    """Names of reader and encoder, once something was asked."""

    def locate(self, questions: Sequence[Question]) -> list[Question]:
        """With the places of their evidence. Raises InvalidQuestions."""
        text_of = cache(self._text)
        return [self._located(question, text_of) for question in questions]

    def _located(self, question: Question, text_of: Callable[[str], str]) -> Question:
        try:
            return located(question, text_of)
        except (ValueError, Refused) as error:
            raise InvalidQuestions(f"Question {question.question_id}: {str(error).rstrip('.')}.") from None

    def cases(self, questions: Sequence[Question]) -> list[Case]:
        return [self._case(question) for question in told("asking", questions)]

    def _case(self, question: Question) -> Case:
        reply = self.ask(question)
        best = reply if reply.answer is not None else self.ask(question, min_confidence=0)
        return case(question, reply, best, self._search(question) if question.evidence else ())

    def best(self, questions: Sequence[Question]) -> list[tuple[Question, Reply]]:
        """With `min_confidence` 0: what it would say to each."""
        return [(question, self.ask(question, min_confidence=0)) for question in told("asking", questions)]

    def ask(self, question: Question, *, min_confidence: float | None = None) -> Reply:
        asked = {"min_confidence": min_confidence, **self._asked(question)}
        answer = self.call("POST", "/v1/ask", json=asked)
        self.models.update(reader=answer["models"]["reader"], encoder=answer["models"]["encoder"])
        return Reply(
            answer=answer["answer"],
            confidence=answer["confidence"],
            quotes=tuple(Quote(one["document_id"], _span(one), one["quote"]) for one in answer["citations"]),
            milliseconds=answer["timings_ms"]["total"],
        )

    def _search(self, question: Question) -> tuple[Found, ...]:
        found = self.call("POST", "/v1/search", json={"top_k": PASSAGES, **self._asked(question)})
        return tuple(
            tuple((place["document_id"], _span(place)) for place in (one, *one["also_at"])) for one in found["passages"]
        )

    def _asked(self, question: Question) -> dict[str, Any]:
        return {"question": question.question, "collection": self.collection, "filter": question.filter}

    def _text(self, document_id: str) -> str:
        return str(self.call("GET", f"{path_to(self.collection, document_id)}/text"))


def _span(record: dict[str, Any]) -> Span:
    return Span(record["start"], record["end"])


@contextmanager
def interviewing(settings: Settings, *, collection: str, corpus: Path | None) -> Iterator[Interview]:
    """Of a running service or the data folder; of a library that ends with the block where a folder is given."""
    if corpus is None:
        with calling(settings) as call:
            yield Interview(call=call, collection=collection)
        return
    with tempfile.TemporaryDirectory(prefix="loccit-") as folder, calling(_apart(settings, Path(folder))) as call:
        call("PUT", path_to(collection))
        yield Interview(call=call, collection=collection, passed_over=tuple(_take_in(call, collection, corpus)))


def _apart(settings: Settings, folder: Path) -> Settings:
    """The same service on another data folder, with the calibration and the compiled models that it has."""
    for models in (settings.data / "encoders", settings.data / "readers"):
        if models.is_dir():
            (folder / models.name).symlink_to(models.absolute())
    calibration = settings.calibration_file
    changes = {"data": folder, "url": None, "seeds": False}
    return settings.model_copy(
        update={**changes, "calibration": "off" if calibration is None else str(calibration.absolute())}
    )


def _take_in(call: Call, collection: str, corpus: Path) -> Iterator[str]:
    """Put every document of the folder; gives the files that are none."""
    files = [path for path in sorted(corpus.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    for path in told("reading in", files):
        name, content = path.relative_to(corpus).as_posix(), path.read_bytes()
        media_type = media_type_of_file(path.name, content)
        if media_type is None:
            yield name
        else:
            sent = {"content": content, "headers": {"Content-Type": media_type}, "params": {"wait": "true"}}
            call("PUT", path_to(collection, document_id_of(name)), **sent)


def told(what: str, items: Sequence[Item]) -> Iterator[Item]:
    """The items one by one; on a terminal it is told how many are done."""
    with typer.progressbar(items, label=what, file=sys.stderr, hidden=not sys.stderr.isatty()) as progress:
        yield from progress
