"""What `scripts/evaluate` runs."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import typer

from service.bootstrap import Engine
from service.evaluation import alone, misspelling, pages, rankings, reading, removal, seed_answers
from service.evaluation.asking import open_engine
from service.evaluation.circumstances import circumstances
from service.evaluation.datasets import (
    JUDGED,
    Article,
    apart,
    articles,
    is_validation,
    judged_collection,
    seed_questions,
    strangers,
)
from service.evaluation.tables import write_section

PARTS = ("seeds", "ranking", "reading", "reader", "removal", "misspelling")
TITLES = {
    "seeds": "Questions on the seed documents",
    "ranking": "Ranking of judged collections",
    "reading": "Reading whole articles",
    "reader": "The reader alone, with the paragraph given",
    "removal": "Each part removed in turn",
    "misspelling": "Misspelt questions",
    "pdf": "Questions on PDF files",
}


def main() -> None:
    options = _options()
    command = " ".join(["scripts/evaluate", "DATA", *(f"--only {part}" for part in options.only or ())])
    with tempfile.TemporaryDirectory(prefix="loccit-") as folder, closing(open_engine(Path(folder))) as engine:
        names = f"Encoder {engine.encoder.name}, reader {engine.reader.name}, threshold {engine.reader.threshold:g}."
        for part in options.only or PARTS:
            stamp = circumstances(command)
            content = f"### {TITLES[part]}\n\n{_measure(part, engine, options)}\n\n{stamp} {names}"
            typer.echo(content + "\n")
            if options.page is not None:
                write_section(options.page, part, content)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="evaluate", add_help=False)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--only", action="append", choices=TITLES)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--details", type=Path)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    if not (options.data / "seeds" / "questions.jsonl").is_file():
        parser.error(f"{options.data} holds no seeds/questions.jsonl")
    return options


def _measure(part: str, engine: Engine, options: argparse.Namespace) -> str:
    if part == "seeds":
        outcomes = seed_answers.answer_seeds(engine, seed_questions(options.data))
        _save_details(outcomes, options.details)
        return seed_answers.report(outcomes)
    if part == "ranking":
        names, most = (JUDGED[:1], 10) if options.quick else (JUDGED, None)
        judged = (judged_collection(options.data, name) for name in names)
        return rankings.report([rankings.score_collection(engine, one, most=most) for one in judged])
    if part == "pdf":
        return pages.measure(engine, options.data / "pdf", quick=options.quick)
    if part == "reader":
        return alone.report(list(_read_alone(engine, options)))
    if part in ("removal", "misspelling"):
        measure = removal.measure if part == "removal" else misspelling.measure
        kept = _unseen(options)["squad-development"]
        return measure(engine, kept[:3] if options.quick else kept, questions=20 if options.quick else 600)
    return reading.report(list(_read(engine, options)))


def _save_details(outcomes: list[seed_answers.Outcome], folder: Path | None) -> None:
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    details = [one.details() for one in outcomes]
    missed = [one for one in details if one["outcome"] not in ("right", "declined")]
    for name, content in (("seed_answers.json", details), ("seed_misses.json", missed)):
        (folder / name).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _read(engine: Engine, options: argparse.Namespace) -> Iterator[reading.Read]:
    """Comments and reviews have nothing but themselves in common, so each is a document, and fewer are asked about."""
    questions, few, foreign = (40, 20, 10) if options.quick else (1000, 300, 250)
    sets = {name: found[:3] if options.quick else found for name, found in _unseen(options).items()}
    sets |= {name: apart(found, few) for name, found in _of_another_kind(options).items()}
    for name, found in sets.items():
        yield reading.read_articles(engine, name, found, strangers(options.data, foreign), questions=questions)


def _read_alone(engine: Engine, options: argparse.Namespace) -> Iterator[alone.Alone]:
    for name, found in (_unseen(options) | _of_another_kind(options)).items():
        yield alone.read_alone(engine.reader, name, found, questions=40 if options.quick else 1000)


def _unseen(options: argparse.Namespace) -> dict[str, list[Article]]:
    """Articles that nothing was trained on: the 13 of SQuAD's development set, and those set aside by their title."""
    shifted = [one for one in articles(options.data, "squadshifts_new_wiki") if is_validation(one.title)]
    return {"squad-development": articles(options.data, "squad_13_articles"), "new-wiki": shifted}


def _of_another_kind(options: argparse.Namespace) -> dict[str, list[Article]]:
    """Comments and reviews, which nothing was trained on or fitted to."""
    return {name: articles(options.data, f"squadshifts_{name}") for name in ("reddit", "amazon_reviews")}


if __name__ == "__main__":
    main()
