from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from embeddings.domain import Span
from service.evaluation.circumstances import Circumstances, circumstances
from service.evaluation.datasets import apart, articles, drawn, judged_collection, seed_questions
from service.evaluation.judging import Quote, is_at_the_place, is_right
from service.evaluation.peps import Pep, questions
from service.evaluation.questions import Evidence, Question
from service.evaluation.tables import table, with_section

HERE = Evidence("a.txt", Span(10, 20))
THERE = Evidence("b.txt", Span(0, 5))


def question(
    kind: str = "number",
    answers: tuple[str, ...] = (),
    items: tuple[str, ...] = (),
    unspoken: frozenset[str] = frozenset(),
) -> Question:
    return Question(
        question_id="q",
        question="?",
        kind=kind,
        answers=answers,
        items=items,
        unspoken=unspoken,
        evidence=(HERE, THERE),
        alternatives=(Evidence("c.txt", Span(0, 1)),),
    )


def quote(text: str, document_id: str = "x.txt", start: int = 0) -> Quote:
    return Quote(document_id, Span(start, start + len(text)), text)


def test_one_form_of_the_answer_in_one_quote_is_enough() -> None:
    asked = question(answers=("432 million", "four hundred"))
    assert is_right(asked, "", [quote("nothing"), quote("over 432 million yuan")])
    assert not is_right(asked, "432 million", [quote("432 yuan, 1 million")])


def test_every_item_is_needed_in_either_form_over_all_quotes() -> None:
    asked = question(items=("39", "three|3"), answers=("39",))
    assert is_right(asked, "", [quote("39 academicians"), quote("three workstations")])
    assert not is_right(asked, "", [quote("39 academicians")])


def test_an_item_that_the_text_only_implies_may_stand_in_the_answer_or_be_cited_by_its_evidence() -> None:
    asked = question(items=("124", "Science City"), unspoken=frozenset({"Science City"}))
    assert is_right(asked, "Science City, with 124", [quote("a total of 124")])
    assert is_right(asked, "", [quote("124 in all", "a.txt", 12), quote("2000", "b.txt")])
    assert not is_right(asked, "", [quote("124 in all", "a.txt", 12)])


def test_yes_or_no_is_right_where_the_evidence_is_quoted_and_the_opposite_is_not_said() -> None:
    asked = question("yes_no", answers=("No",))
    assert is_right(asked, "Ten letters.", [quote("ten letters", "a.txt", 19)])
    assert is_right(asked, "No.", [quote("ten letters", "a.txt", 19)])
    assert not is_right(asked, "Yes", [quote("ten letters", "a.txt", 19)])
    assert not is_right(asked, "No", [quote("ten letters", "a.txt", 20), quote("ten letters", "x.txt", 12)])


def test_yes_or_no_without_evidence_is_judged_by_the_word() -> None:
    asked = Question(question_id="q", question="?", answers=("yes",))
    assert is_right(asked, "Yes, it is.", [])
    assert not is_right(asked, "No.", [])
    assert not is_right(asked, "It is.", [])


def test_a_number_that_is_abbreviated_no_is_no_verdict() -> None:
    assert is_right(
        Question(question_id="q", question="?", answers=("No. 199",)), "", [quote("at No. 199, Xincheng Road")]
    )


def test_another_place_that_says_the_same_counts_as_the_place() -> None:
    assert is_at_the_place(question(), [quote("any", "c.txt")])


def test_tables_align_numbers_and_show_a_missing_one_as_a_dash() -> None:
    assert table(["what", "n", "%"], [["a", 1200, 4.25], ["b", "x", float("nan")]]).splitlines() == [
        "| what | n | % |",
        "| --- | ---: | ---: |",
        "| a | 1,200 | 4.2 |",
        "| b | x | – |",
    ]


def test_a_section_is_replaced_where_it_stands_and_nothing_else_changes() -> None:
    page = with_section(with_section("# Title\n", "one", "first"), "two", "second")
    changed = with_section(page, "one", r"new \1")
    assert changed == page.replace("first", r"new \1")
    assert changed.startswith("# Title\n\n<!-- one:")
    assert with_section(changed, "two", "second") == changed


def write_lines(path: Path, *records: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(record) + "\n" for record in records).encode()
    path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)


def test_judged_queries_come_with_their_gains_and_unjudged_ones_stay_out(tmp_path: Path) -> None:
    folder = tmp_path / "retrieval" / "small"
    write_lines(folder / "corpus.jsonl.gz", {"_id": "1", "title": "", "text": "one"}, {"_id": "2", "text": "two"})
    write_lines(folder / "queries.jsonl.gz", {"_id": "7", "text": "which?"}, {"_id": "8", "text": "unjudged"})
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n7\t2\t3\n")
    judged = judged_collection(tmp_path, "small")
    assert judged.queries == {"7": "which?"}
    assert judged.gains == {"7": {"2": 3.0}}
    assert [one.title for one in judged.documents] == [None, None]


def test_answers_are_placed_in_the_whole_article(tmp_path: Path) -> None:
    asked = [{"question": "who?", "answers": [{"text": "Ann", "answer_start": 4}]}]
    paragraphs = [{"context": "First.", "qas": []}, {"context": "It: Ann.", "qas": asked}]
    write_lines(tmp_path / "reading" / "set.json.gz", {"data": [{"title": "A_b", "paragraphs": paragraphs}]})
    (article,) = articles(tmp_path, "set")
    (found,) = article.questions
    assert article.title == "A b"
    assert article.text[found.spans[0].start : found.spans[0].end] == "Ann"
    assert article.text[found.paragraph.start : found.paragraph.end] == "It: Ann."
    assert drawn([found, found], 1) == [found]
    (alone,) = apart([article], 9)
    (moved,) = alone.questions
    assert (alone.title, alone.text) == ("", "It: Ann.")
    assert (moved.document_id, moved.paragraph) == (alone.document_id, Span(0, 8))
    assert alone.text[moved.spans[0].start : moved.spans[0].end] == "Ann"


def test_seed_questions_keep_their_evidence(tmp_path: Path) -> None:
    evidence = {"document": "a.txt", "quote": "x", "start": 10, "end": 20}
    record = {"id": "1", "question": "?", "type": "list", "answers": ["x"], "evidence": [evidence], "items": ["x|y"]}
    write_lines(tmp_path / "seeds" / "questions.jsonl", record)
    (found,) = seed_questions(tmp_path)
    assert found.evidence == (HERE,)
    assert found.items == ("x|y",)
    assert found.is_answerable


def test_questions_are_made_of_titles_and_headings_and_always_the_same() -> None:
    text = "PEP: 1\n\nAbstract\n========\n\nWords.\n\nThe ``match`` statement\n-----------------------\n\nMore.\n"
    pep = Pep(document_id="pep-0001.rst", title="Matching", text=text)
    assert list(pep.questions()) == [
        "What does the proposal on Matching change?",
        "What does the proposal on Matching say about The ``match`` statement?",
    ]
    assert questions([pep, pep], 1) == questions([pep], 1)


def test_the_circumstances_say_when_on_what_and_how() -> None:
    told = str(
        Circumstances(
            moment=datetime(2026, 11, 23, 5, 0, tzinfo=UTC),
            commit="abc1234",
            cpu="A CPU",
            cores=2,
            flags=("avx2", "avx512_vnni"),
            load=0.25,
            command="scripts/evaluate DATA",
        )
    )
    for part in ("2026-11-23 05:00", "abc1234", "A CPU, 2 cores", "avx2 avx512_vnni", "`scripts/evaluate DATA`"):
        assert part in told


def test_the_circumstances_can_be_had_on_this_machine() -> None:
    found = circumstances("scripts/evaluate DATA")
    assert found.cores >= 1
    assert found.cpu
    assert found.commit
