"""The parts of the comparison that need no service: requests, replies, and the table."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from service.evaluation.comparison import INGEST, START, speed_table
from service.evaluation.contenders import Contender, Loccit, Txtai

TXTAI = Txtai(python=Path("python"), name="txtai", weights="weights")


@pytest.mark.parametrize(
    ("contender", "reply"),
    [
        (Loccit(), {"passages": [{"document_id": "near"}, {"document_id": "far"}]}),
        (TXTAI, [{"id": "near", "text": "…", "score": 0.9}, {"id": "far", "text": "…", "score": 0.1}]),
    ],
    ids=["loccit", "txtai"],
)
def test_a_reply_gives_documents_in_their_order(contender: Contender, reply: object) -> None:
    assert contender.ranking(json.dumps(reply).encode()) == ["near", "far"]


def test_both_are_asked_for_the_ten_best_documents() -> None:
    question = "What's 5 % & more?"
    asked = TXTAI.search(question)
    assert parse_qs(urlsplit(asked.path).query) == {"query": [question], "limit": ["10"]}
    body = Loccit().search(question).body
    assert isinstance(body, dict)
    assert (body["question"], body["top_k"], body["max_per_document"]) == (question, 10, 1)


def test_the_table_shows_medians_and_ratios_run_by_run() -> None:
    runs = {
        "other": [{START: 8.0, INGEST: 10.0}, {START: 9.0, INGEST: 12.0}, {START: 10.0, INGEST: 15.0}],
        "own": [{START: 2.0, INGEST: 100.0}, {START: 3.0, INGEST: 120.0}, {START: 1.0, INGEST: 2000.0}],
    }
    lines = speed_table(runs).splitlines()
    assert lines[0] == "|  | other | own | times better |"
    assert lines[2].endswith("| 9.00 (8.00 to 10.0) | 2.00 (1.00 to 3.00) | 4.00 (3.00 to 10.0) |")
    assert lines[3].endswith("| 12.0 (10.0 to 15.0) | 120 (100 to 2,000) | 10.0 (10.0 to 133) |")
