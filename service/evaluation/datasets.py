"""The public data that the service is measured on, read from a folder beside the repository."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from embeddings.domain import Span
from service.evaluation.questions import Question, read_questions

JUDGED = ("cran", "med", "cisi")
PARAGRAPH_BREAK = "\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedDocument:
    document_id: str
    title: str | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedCollection:
    name: str
    documents: tuple[JudgedDocument, ...]
    queries: Mapping[str, str]
    """Those that were judged."""
    gains: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingQuestion:
    question: str
    document_id: str
    paragraph: Span
    answers: tuple[str, ...]
    spans: tuple[Span, ...]
    """Of the answers, in the article."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    document_id: str
    title: str
    """Empty where it has none."""
    text: str
    questions: tuple[ReadingQuestion, ...] = field(repr=False)

    @property
    def paragraphs(self) -> list[str]:
        return self.text.split(PARAGRAPH_BREAK)


def _records(path: Path) -> list[dict[str, Any]]:
    content = path.read_bytes()
    plain = gzip.decompress(content) if path.suffix == ".gz" else content
    return [json.loads(line) for line in plain.split(b"\n") if line.strip()]


def seed_questions(data: Path) -> list[Question]:
    return read_questions(data / "seeds" / "questions.jsonl")


def judged_collection(data: Path, name: str) -> JudgedCollection:
    folder = data / "retrieval" / name
    gains: dict[str, dict[str, float]] = {}
    for line in (folder / "qrels.tsv").read_text("utf-8").splitlines()[1:]:
        query, document, gain = line.split("\t")
        gains.setdefault(query, {})[document] = float(gain)
    return JudgedCollection(
        name=name,
        documents=tuple(
            JudgedDocument(document_id=record["_id"], title=record.get("title") or None, text=record["text"])
            for record in _records(folder / "corpus.jsonl.gz")
        ),
        queries={
            record["_id"]: record["text"] for record in _records(folder / "queries.jsonl.gz") if record["_id"] in gains
        },
        gains=gains,
    )


def articles(data: Path, name: str) -> list[Article]:
    """The articles of a set in SQuAD's format, each whole: its paragraphs with an empty line between."""
    stored = json.loads(gzip.decompress((data / "reading" / f"{name}.json.gz").read_bytes()))
    return [_article(number, record) for number, record in enumerate(stored["data"])]


def _article(number: int, record: Mapping[str, Any]) -> Article:
    document_id = f"article-{number}"
    questions: list[ReadingQuestion] = []
    start = 0
    for paragraph in record["paragraphs"]:
        end = start + len(paragraph["context"])
        questions += [_question(asked, document_id, Span(start, end)) for asked in paragraph["qas"] if asked["answers"]]
        start = end + len(PARAGRAPH_BREAK)
    return Article(
        document_id=document_id,
        title=record["title"].replace("_", " "),
        text=PARAGRAPH_BREAK.join(paragraph["context"] for paragraph in record["paragraphs"]),
        questions=tuple(questions),
    )


def _question(record: Mapping[str, Any], document_id: str, paragraph: Span) -> ReadingQuestion:
    starts = [paragraph.start + answer["answer_start"] for answer in record["answers"]]
    answers = tuple(answer["text"] for answer in record["answers"])
    return ReadingQuestion(
        question=record["question"],
        document_id=document_id,
        paragraph=paragraph,
        answers=answers,
        spans=tuple(Span(start, start + len(answer)) for start, answer in zip(starts, answers, strict=True)),
    )


def is_validation(title: str) -> bool:
    """One article in four, by its title: set aside from everything that is trained or fitted."""
    return hashlib.sha256(title.encode()).digest()[0] % 4 == 0


def drawn(questions: list[ReadingQuestion], most: int) -> list[ReadingQuestion]:
    """At most so many, always the same ones, whatever their order was."""
    return sorted(questions, key=lambda one: hashlib.sha256(f"{one.document_id}\0{one.question}".encode()).digest())[
        :most
    ]


def apart(whole: Sequence[Article], questions: int) -> list[Article]:
    """The paragraphs that so many questions ask about, each as an article of its own, without a title."""
    texts = {one.document_id: one.text for one in whole}
    asked: defaultdict[tuple[str, Span], list[ReadingQuestion]] = defaultdict(list)
    for question in drawn([question for one in whole for question in one.questions], questions):
        asked[question.document_id, question.paragraph].append(question)
    return [
        Article(
            document_id=f"paragraph-{number}",
            title="",
            text=texts[document_id][place.start : place.end],
            questions=tuple(_of_paragraph(question, f"paragraph-{number}") for question in own),
        )
        for number, ((document_id, place), own) in enumerate(asked.items())
    ]


def _of_paragraph(question: ReadingQuestion, document_id: str) -> ReadingQuestion:
    start, end = question.paragraph.start, question.paragraph.end
    spans = tuple(Span(span.start - start, span.end - start) for span in question.spans)
    return replace(question, document_id=document_id, paragraph=Span(0, end - start), spans=spans)


def strangers(data: Path, most: int) -> list[str]:
    """Real questions that none of the collections answers."""
    return [record["question"] for record in _records(data / "abstention" / "nq_open_efficientqa_dev.jsonl.gz")][:most]
