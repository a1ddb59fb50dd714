from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.domain import Span
from embeddings.encoders.compiled import DEFAULT_MODEL, TOKENIZER
from service.answering.readers.inputs import ReaderTokenizer
from service.evaluation.unanswerable import changed
from service.training.examples import (
    Articles,
    Asked,
    Example,
    TrainingPassage,
    Verdict,
    answer_spans,
    nearest_span,
    window,
)
from service.training.statements import as_question

PARAGRAPH = (
    "The Pemberlow ferry began in 1802. Captain Ada Marsh ran it for twelve years. "
    "It carried 40 people at a time. In 1884 the bridge was built, and the ferry stopped. Nobody misses it."
)


def asked(question: str, *answers: str, paragraph: str = PARAGRAPH) -> Asked:
    return Asked(question=question, paragraph=paragraph, answers=answers, title="Pemberlow", source="test")


def test_an_answer_is_found_wherever_it_stands_as_whole_words() -> None:
    spans = answer_spans("In 1884, 18840 boats; 1884 again.", ["1884"])

    assert spans == (Span(3, 7), Span(22, 26))


def test_of_several_places_the_one_beside_the_questions_words_is_kept() -> None:
    text = "The ferry cost 12 crowns. The bridge is 12 yards wide."

    assert nearest_span(text, answer_spans(text, ["12"]), "How wide is the bridge?") == Span(40, 42)


@given(st.integers(40, 400), st.integers(0, 2**16))
def test_a_window_is_a_piece_of_the_paragraph_and_keeps_the_answer(characters: int, seed: int) -> None:
    [answer] = answer_spans(PARAGRAPH, ["1884"])

    cut = window(PARAGRAPH, answer, characters=characters, chance=random.Random(seed))

    assert PARAGRAPH[cut.start : cut.start + len(cut.text)] == cut.text
    assert [cut.text[span.start : span.end] for span in cut.within([answer])] == ["1884"]


def test_a_changed_question_differs_in_what_the_paragraph_says() -> None:
    questions = ["When did Ada Marsh run the ferry?", "What was built in 1884?", "Who was the first captain?"]
    chance = random.Random(5)
    elsewhere = ["In those days Eve Barlow and Tom Reed kept the mill."]

    for question in questions:
        other = changed(question, PARAGRAPH, elsewhere, chance)
        assert other is not None
        assert other != question


def test_a_question_without_anything_to_change_is_left_alone() -> None:
    assert changed("Ferry?", PARAGRAPH, [], random.Random(1)) is None


def test_paragraphs_with_the_answer_are_no_negatives() -> None:
    other, answering = "The mill grinds oats.", "Another text names 1884 too."
    articles = Articles(
        [asked("When?", "1884"), asked("What?", "oats", paragraph=other), asked("Which?", "x", paragraph=answering)]
    )

    assert articles.others(asked("When was the bridge built?", "1884")) == [other]


def test_a_statement_becomes_a_question_with_the_same_words() -> None:
    chance = random.Random(2)
    questions = {as_question("The ferry was stopped by the bridge.", chance) for _ in range(40)}

    assert "Was the ferry stopped by the bridge?" in questions
    assert all(question.endswith("?") and "stopped by the bridge" in question for question in questions)


@pytest.mark.models
def test_the_loss_is_the_likelihood_of_any_right_span_over_all_passages_of_a_question() -> None:
    import torch

    from service.training.batches import batch_of, inputs_of
    from service.training.model import loss

    tokenizer = ReaderTokenizer((DEFAULT_MODEL / TOKENIZER).read_text("utf-8"), max_tokens=384)
    passages = (
        TrainingPassage(text="It was built in 1884.", spans=(Span(16, 20),)),
        TrainingPassage(text="Nobody misses it."),
    )
    examples = [
        Example(question="When?", passages=passages, source="test"),
        Example(question="Why?", passages=(TrainingPassage(text="Who knows."),), source="test"),
        Example(question="Was it?", passages=(TrainingPassage(text="Yes.", verdict=Verdict.YES),), source="test"),
    ]
    batch = batch_of([(example, inputs_of(example, tokenizer)) for example in examples])
    torch.manual_seed(1)
    starts, ends = torch.randn(batch.input_ids.shape), torch.randn(batch.input_ids.shape)
    verdicts = torch.randn(len(batch.input_ids), 2)

    expected = 0.0
    for group in range(3):
        rows = (batch.group == group).nonzero().flatten().tolist()
        for scores, is_right in ((starts, batch.is_start), (ends, batch.is_end)):
            every = torch.cat([*(scores[row][batch.is_candidate[row]] for row in rows), verdicts[rows].flatten()])
            right = torch.cat([*(scores[row][is_right[row]] for row in rows), verdicts[rows][batch.is_verdict[rows]]])
            nothing = torch.zeros(1)
            wanted = right if len(right) else nothing
            expected += float(torch.logsumexp(torch.cat([every, nothing]), 0) - torch.logsumexp(wanted, 0)) / 6

    assert float(loss((starts, ends, verdicts), batch)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.models
def test_token_spans_cover_the_words_of_an_answer() -> None:
    from service.training.batches import token_spans

    tokenizer = ReaderTokenizer((DEFAULT_MODEL / TOKENIZER).read_text("utf-8"), max_tokens=384)
    [one] = tokenizer.inputs("When?", [("A title", PARAGRAPH)])
    [place] = answer_spans(PARAGRAPH, ["Captain Ada Marsh"])

    [(first, last)] = token_spans(one, [place])

    offsets = [one.offsets[token - one.first] for token in (first, last)]
    assert PARAGRAPH[offsets[0][0] : offsets[1][1]] == "Captain Ada Marsh"


@pytest.mark.models
def test_what_ships_is_the_mean_of_the_last_epochs(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from service.training import loop

    for epoch, weight in enumerate((9.0, 1.0, 4.0)):
        end = {"weight": torch.tensor([weight, 0.0]), "position": torch.tensor([7])}
        save_file(end, tmp_path / loop.EPOCH.format(epoch))

    mean = loop.average(tmp_path)

    assert mean["weight"].tolist() == [2.5, 0.0]
    assert mean["position"].tolist() == [7]
