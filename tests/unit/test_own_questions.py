from __future__ import annotations

import json
from pathlib import Path

import pytest

from embeddings.domain import Span
from service.evaluation.errors import InvalidQuestions
from service.evaluation.questions import Evidence, Question, located, read_questions


def written(folder: Path, *lines: str) -> Path:
    path = folder / "questions.jsonl"
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_a_question_alone_is_one_that_the_documents_do_not_answer(tmp_path: Path) -> None:
    (found,) = read_questions(written(tmp_path, "", '{"question": "Why?"}', ""))
    assert found == Question(question_id="line-2", question="Why?")
    assert not found.is_answerable
    assert found.golden == ()


def test_everything_that_may_be_said_is_understood(tmp_path: Path) -> None:
    record = {
        "id": "7",
        "question": "Which two?",
        "items": ["one|1", "two"],
        "documents": ["notes/a b.md", "c.txt"],
        "evidence": [{"document": "c.txt", "start": 3, "end": 9}, {"document": "d.txt", "text": "two"}],
        "filter": {"year": {"gte": 2020}},
        "note": "of my own",
    }
    (found,) = read_questions(written(tmp_path, json.dumps(record)))
    assert found.items == ("one|1", "two")
    assert found.golden == ("one, two",)
    assert found.evidence[:2] == (Evidence("c.txt", Span(3, 9)), Evidence("d.txt", None, "two"))
    assert [place.document_id[:7] for place in found.evidence[2:]] == ["a-b.md-"]
    assert found.filter == {"year": {"gte": 2020}}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"question": "Why?",}', "this is no JSON"),
        ("[" * 100_000, "nested too deep"),
        ("7", "write an object"),
        ("{}", '"question" is missing; write "question"'),
        ('{"question": " "}', '"question" must be a text'),
        ('{"question": "Why?", "answers": "7"}', '"answers" must be a list of texts; write "answers": ["…"]'),
        ('{"question": "Why?", "answers": [7]}', '"answers" must be a list of texts'),
        ('{"question": "Why?", "anwsers": ["7"]}', 'there is no "anwsers"; write "answers"'),
        ('{"question": "Why?", "document": ["a"]}', 'there is no "document"; write "documents"'),
        ('{"question": "Why?", "evidence": [{"document": "a"}]}', '"evidence" must name places'),
        ('{"question": "Why?", "evidence": [{"document": "a", "start": 9, "end": 3}]}', "its end after its start"),
        ('{"question": "Why?", "filter": {"year": {"near": 1}}}', '"filter": '),
    ],
)
def test_a_bad_line_is_told_with_its_number_and_the_mend(line: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidQuestions) as refused:
        read_questions(written(tmp_path, '{"question": "Who?"}', line))
    assert "questions.jsonl, line 2: " in str(refused.value)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b" \n", "holds no questions"),
        (b'{"question": "Who?", "id": "1"}\n{"question": "Why?", "id": "1"}', 'the "id" "1"'),
        ('{"question": "Où?"}'.encode("latin-1"), "UTF-8"),
    ],
)
def test_what_is_no_file_of_questions_is_refused(content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidQuestions, match=said):
        read_questions(path)


def test_evidence_is_found_where_it_stands() -> None:
    asked = Question(question_id="1", question="?", evidence=(Evidence("a", None, "two"), Evidence("a", None)))
    assert located(asked, lambda _: "one two").evidence == (Evidence("a", Span(4, 7)), Evidence("a", None))


@pytest.mark.parametrize("place", [Evidence("a", None, "three"), Evidence("a", Span(3, 8))])
def test_evidence_that_is_not_there_is_refused(place: Evidence) -> None:
    with pytest.raises(ValueError, match="the evidence"):
        located(Question(question_id="1", question="?", evidence=(place,)), lambda _: "one two")


def test_the_example_is_understood() -> None:
    example = Path(__file__).parents[2] / "docs" / "examples" / "questions.jsonl"
    asked = read_questions(example)
    seeds = {path.name: path.read_text("utf-8") for path in (example.parents[2] / "seeds").glob("*.txt")}
    assert len([located(question, seeds.__getitem__) for question in asked if question.is_answerable]) == 26
