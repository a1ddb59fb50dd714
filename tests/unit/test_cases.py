"""Cases, figures, gates, comparisons and reports, with values computed by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from embeddings.domain import Span
from service.evaluation.cases import Case, Found, Reply, case, ndcg_of_targets
from service.evaluation.errors import InvalidQuestions
from service.evaluation.figures import KINDS, measure, parse_gate
from service.evaluation.judging import Quote
from service.evaluation.questions import Evidence, Question
from service.evaluation.reports import Report, compare, lines, read_report, worst, worst_page

ASKED = Question(question_id="1", question="How many?", answers=("98",), evidence=(Evidence("a", Span(10, 20)),))
UNANSWERABLE = Question(question_id="2", question="Why?")


def reply(answer: str | None, confidence: float = 0.8, *, document: str = "a", start: int = 15) -> Reply:
    quotes = () if answer is None else (Quote(document, Span(start, start + len(answer)), answer),)
    return Reply(answer=answer, confidence=confidence, quotes=quotes, milliseconds=12.0)


def at(document: str, start: int, end: int) -> Found:
    return ((document, Span(start, end)),)


def right() -> Case:
    return case(ASKED, reply("98"), reply("98"), [at("b", 0, 30), at("a", 0, 12)])


def wrong() -> Case:
    said = reply("97 of them", 0.9, document="b")
    return case(replace(ASKED, question_id="3"), said, said, [])


def missed() -> Case:
    return case(replace(ASKED, question_id="4"), reply(None, 0.1), reply("98", 0.1), [])


def declined() -> Case:
    return case(UNANSWERABLE, reply(None, 0.2), reply("because", 0.2), [])


def answered_in_vain() -> Case:
    return case(replace(UNANSWERABLE, question_id="5"), reply("because", 0.4), reply("because", 0.4), [])


def test_an_answer_is_judged_by_its_words_its_quote_and_where_it_stands() -> None:
    found = right()
    assert (found.right, found.exact_match, found.f1, found.quote_holds_answer) == (1, 1, 1, 1)
    assert found.ndcg_at_10 == pytest.approx(1 / math.log2(3))
    assert (found.recall_at_8, found.citation_precision, found.citation_recall) == (1, 1, 1)


def test_a_wrong_answer_scores_nothing_and_its_citation_misses() -> None:
    found = wrong()
    assert (found.right, found.exact_match, found.f1, found.quote_holds_answer) == (0, 0, 0, 0)
    assert (found.ndcg_at_10, found.recall_at_8, found.citation_precision, found.citation_recall) == (0, 0, 0, 0)


def test_silence_is_right_where_the_documents_say_nothing_and_wrong_where_they_do() -> None:
    assert (declined().right, declined().exact_match, declined().f1) == (1, 1, 1)
    assert declined().quote_holds_answer is None
    assert declined().ndcg_at_10 is None
    assert (missed().right, missed().f1, missed().quote_holds_answer) == (0, 0, 0)
    assert missed().is_best_right
    assert missed().citation_recall is None
    assert (answered_in_vain().right, answered_in_vain().f1) == (0, 0)


def test_a_second_passage_on_the_same_evidence_gains_nothing() -> None:
    places = [(Evidence("a", None),), (Evidence("b", Span(0, 5)), Evidence("c", Span(0, 5)))]
    twice = [at("a", 0, 5), at("a", 5, 9), at("c", 4, 9)]
    assert ndcg_of_targets(twice, places) == pytest.approx((1 + 1 / 2) / (1 + 1 / math.log2(3)))
    assert ndcg_of_targets([(("a", Span(0, 5)), ("b", Span(0, 5)))], places) == 1


def test_figures_say_on_how_many_questions_they_stand() -> None:
    figures = measure([right(), wrong(), missed(), declined(), answered_in_vain()])
    told = {name: (round(one.value, 4), one.cases) for name, one in figures.items()}
    assert told["right"] == (0.4, 5)
    assert told["quote_holds_answer"] == (0.3333, 3)
    assert told["answered"] == (0.6, 5)
    assert told["precision"] == (0.3333, 3)
    assert told["declined"] == (0.5, 2)
    assert told["citation_precision"] == (0.5, 2)
    # answerable 0.8, 0.9, 0.1 against 0.2, 0.4: four of six pairs in order
    assert told["abstention_auroc"] == (0.6667, 5)
    # by confidence: wrong, right, wrong, wrong, right
    assert told["risk_coverage_area"] == (round((1 + 1 / 2 + 2 / 3 + 3 / 4 + 3 / 5) / 5, 4), 5)
    assert told["latency_p95_ms"] == (12, 5)
    assert math.isnan(measure([declined()])["quote_holds_answer"].value)


@pytest.mark.parametrize(
    ("text", "is_lower_bound", "failure"),
    [
        ("right=0.4", True, None),
        ("right=0.41", True, "right is 0.4, under 0.41"),
        ("latency_p95_ms=10", False, "latency_p95_ms is 12, over 10"),
        ("latency_p95_ms=12", False, None),
    ],
)
def test_a_gate_says_which_bound_was_not_kept(text: str, is_lower_bound: bool, failure: str | None) -> None:
    figures = measure([right(), wrong(), missed(), declined(), answered_in_vain()])
    assert parse_gate(text, is_lower_bound=is_lower_bound).failure(figures) == failure


def test_a_gate_on_what_could_not_be_measured_fails() -> None:
    failure = parse_gate("declined=0", is_lower_bound=True).failure(measure([right()]))
    assert failure is not None
    assert "could not be measured" in failure


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("speed=1", "there is no figure 'speed'"),
        ("f1", "write f1=0.7"),
        ("f1=high", "write f1=0.7"),
        ("f1=nan", "write f1=0.7"),
        ("latency_p50_ms=9", "write --fail-over latency_p50_ms=9"),
    ],
)
def test_a_gate_that_is_none_is_refused_with_the_mend(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_gate(text, is_lower_bound=True)


def test_the_worst_are_confidently_wrong_and_then_not_answered() -> None:
    chosen = worst([right(), missed(), answered_in_vain(), declined(), wrong()])
    assert [one.question_id for one in chosen] == ["3", "5", "4"]
    assert len(worst([wrong()] * 30)) == 20
    page = worst_page(Report.of("mine", {}, [replace(wrong(), question="a|b\nc"), missed()]))
    assert "| a\\|b c | 98 | 97 of them | 0.90 | 97 of them |" in page
    assert "*nothing*; the best was: 98" in page
    assert "Nothing was wrong" in worst_page(Report.of("mine", {}, [right()]))


def test_a_report_that_was_written_is_read_again(tmp_path: Path) -> None:
    report = Report.of("mine", {"reader": "quoting"}, [right(), declined()])
    (tmp_path / "report.json").write_text(json.dumps(report.record()), "utf-8")
    assert read_report(tmp_path / "report.json") == report
    for content in ("{}", "[]", "x", '{"format": 0}'):
        (tmp_path / "report.json").write_text(content)
        with pytest.raises(InvalidQuestions, match="is no report"):
            read_report(tmp_path / "report.json")


def test_reports_are_compared_on_the_questions_that_both_have() -> None:
    earlier = Report.of("before", {}, [replace(wrong(), question_id="1"), declined(), missed()])
    comparison = compare(Report.of("now", {}, [right(), declined()]), earlier)
    assert comparison.questions == 2
    assert comparison.difference("right") == 0.5
    low, high = comparison.intervals["right"]
    assert (low, high) == (0, 1)
    assert math.isnan(comparison.difference("ndcg_at_10")) is False
    assert any("+0.500" in line for line in lines(Report.of("now", {}, [right(), declined()]), comparison))
    with pytest.raises(InvalidQuestions, match="none of these questions"):
        compare(Report.of("now", {}, [right()]), Report.of("before", {}, [declined()]))


def test_the_table_names_every_figure() -> None:
    shown = lines(Report.of("mine", {}, [right()]), None)
    assert shown[0] == "mine: 1 questions, 1 of them answerable"
    for kind in KINDS.values():
        assert any(line.startswith(kind.title) for line in shown)
