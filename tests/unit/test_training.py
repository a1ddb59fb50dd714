from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.domain import Span
from embeddings.encoders.compiled import DEFAULT_MODEL, TOKENIZER
from service.answering.readers.inputs import ReaderTokenizer
from service.evaluation.unanswerable import changed
from service.training import searching
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
from service.training.mixture import as_found
from service.training.packing import Packed, in_batches, pack, token_spans
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


TOKENIZER_OF_BERT = (DEFAULT_MODEL / TOKENIZER).read_text("utf-8")
FERRY = (
    TrainingPassage(text="It was built in 1884.", spans=(Span(16, 20),)),
    TrainingPassage(text="Nobody misses it."),
)
EXAMPLES = (
    Example(question="When?", passages=FERRY, source="test"),
    Example(question="Why?", passages=(TrainingPassage(text="Who knows."),), source="test"),
    Example(question="Was it?", passages=(TrainingPassage(text="Yes.", verdict=Verdict.YES),), source="test"),
    Example(
        question="Who ran it?",
        passages=(TrainingPassage(text=PARAGRAPH, spans=answer_spans(PARAGRAPH, ["Captain Ada Marsh"])),),
        source="test",
    ),
)


@cache
def packed_examples() -> Packed:
    return pack(EXAMPLES, ReaderTokenizer(TOKENIZER_OF_BERT, max_tokens=384))


def test_token_spans_cover_the_words_of_an_answer() -> None:
    tokenizer = ReaderTokenizer(TOKENIZER_OF_BERT, max_tokens=384)
    [one] = tokenizer.inputs("When?", [("A title", PARAGRAPH)])
    [place] = answer_spans(PARAGRAPH, ["Captain Ada Marsh"])

    [(first, last)] = token_spans(one, [place])

    offsets = [one.offsets[token - one.first] for token in (first, last)]
    assert PARAGRAPH[offsets[0][0] : offsets[1][1]] == "Captain Ada Marsh"


def test_what_is_packed_is_what_is_read_back(tmp_path: Path) -> None:
    packed = packed_examples()

    packed.save(tmp_path / "draw.npz")
    stored = Packed.load(tmp_path / "draw.npz")

    assert all(np.array_equal(getattr(stored, name), getattr(packed, name)) for name in Packed.__slots__)


@given(st.integers(20, 200), st.integers(0, 2**16))
def test_each_example_is_in_one_batch(tokens: int, seed: int) -> None:
    packed = packed_examples()

    found = in_batches(packed, tokens=tokens, chance=random.Random(seed))

    assert sorted(np.concatenate(found).tolist()) == list(range(len(EXAMPLES)))


def test_of_what_a_search_finds_a_passage_that_names_the_answer_elsewhere_is_left_out(tmp_path: Path) -> None:
    own, rival, other = "The ferry began in 1802.", "The mill began in 1802 too.", "The ferry carried forty people."
    ferry = Asked(question="When did the ferry begin?", paragraph=own, answers=("1802",), title="", source="test")
    paragraphs = [ferry, *(replace(ferry, question="What?", paragraph=text, answers=()) for text in (rival, other))]

    [(name, examples)] = searching.search({"test": paragraphs}, tmp_path / "store", report=lambda *_: None)
    searching.write(examples, tmp_path / "found.jsonl.gz")

    assert name == "test"
    assert {one.text: one.spans for one in examples[0].passages} == {own: (Span(19, 23),), other: ()}
    assert searching.read(tmp_path / "found.jsonl.gz") == examples


def test_where_a_search_misses_the_right_passage_it_is_put_in() -> None:
    missed = Example(question="When?", passages=(FERRY[1],), source="test")

    drawn = [as_found(missed, FERRY[0], random.Random(seed)) for seed in range(20)]

    assert {frozenset(one.text for one in example.passages) for example in drawn} == {
        frozenset({FERRY[0].text, FERRY[1].text}),
        frozenset({FERRY[1].text}),
    }


@pytest.mark.models
class TestLosses:
    def test_likelihood_of_any_right_span_over_all_passages_of_a_question(self) -> None:
        import torch

        from service.training.model import Scores, loss

        batch, scores = self.scored()
        expected = 0.0
        for group in range(batch.groups):
            rows = (batch.group == group).nonzero().flatten().tolist()
            for values, is_right in ((scores.starts, batch.is_start), (scores.ends, batch.is_end)):
                every = torch.cat(
                    [*(values[row][batch.is_candidate[row]] for row in rows), scores.verdicts[rows].flatten()]
                )
                right = torch.cat(
                    [*(values[row][is_right[row]] for row in rows), scores.verdicts[rows][batch.is_verdict[rows]]]
                )
                nothing = torch.zeros(1)
                wanted = right if len(right) else nothing
                expected += (
                    float(torch.logsumexp(torch.cat([every, nothing]), 0) - torch.logsumexp(wanted, 0))
                    / 2
                    / batch.groups
                )

        assert float(loss(Scores(*scores), batch)) == pytest.approx(expected, rel=1e-4)

    def test_a_reader_that_says_what_its_teacher_says_has_nothing_to_learn(self) -> None:
        import torch

        from service.training.model import Scores, distillation_loss

        batch, taught = self.scored()
        own = Scores(*(part.clone().requires_grad_() for part in taught))
        other = Scores(*(torch.randn_like(part) for part in taught))

        distillation_loss(own, taught, batch, temperature=2.0).backward()  # type: ignore[no-untyped-call]

        assert all(part.grad is not None and float(part.grad.abs().max()) < 1e-5 for part in own)
        assert distillation_loss(other, taught, batch, temperature=2.0) > distillation_loss(
            taught, taught, batch, temperature=2.0
        )

    def scored(self) -> Any:
        import torch

        from service.training.batches import PackedTensors
        from service.training.model import Scores

        packed = PackedTensors(packed_examples(), torch.device("cpu"))
        batch = packed.batch(packed.places(np.arange(len(EXAMPLES))))
        torch.manual_seed(1)
        shape = batch.input_ids.shape
        return batch, Scores(torch.randn(shape), torch.randn(shape), torch.randn(shape[0], 2))


def words_alone(*, vocabulary: int, width: int) -> Any:
    """An encoder that sees of each token itself and its segment: enough to learn a few examples by heart.

    Tokens share a few vectors, so that a step takes no time.
    """
    import torch

    class WordsAlone(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.segments = torch.nn.Embedding(vocabulary, width), torch.nn.Embedding(2, width)

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
            segments = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
            return SimpleNamespace(last_hidden_state=self.words(input_ids % vocabulary) + self.segments(segments))

    return WordsAlone()


@pytest.mark.models
class TestTraining:
    def test_a_reader_learns_its_examples_from_labels_and_from_a_teacher(self, tmp_path: Path) -> None:
        from service.training import loop
        from service.training.batches import Taught
        from service.training.measuring import measure

        draw, plan = self.draw(), self.plan(passes=60)
        teacher, reader = self.reader(1), self.reader(2)
        before = measure(reader, draw)

        loop.train(teacher, [draw], plan, checkpoint=tmp_path / "teaching", report=lambda _: None)
        taught = loop.teach(teacher, draw, plan)
        taught.save(tmp_path / "taught.safetensors")
        loop.train(
            reader,
            [draw],
            replace(plan, taught_share=1.0),
            checkpoint=tmp_path / "fitting",
            report=lambda _: None,
            taught=[Taught.load(draw, tmp_path / "taught.safetensors")],
        )

        assert measure(teacher, draw).exact == measure(reader, draw).exact == 100
        assert before.exact < 100
        assert measure(reader, draw).auroc == 100

    def test_a_run_that_was_cut_off_ends_as_if_it_had_not_been(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import torch

        from service.training import loop

        draw, plan = self.draw(), self.plan(passes=8)
        whole, cut, continued = self.reader(3), self.reader(3), self.reader(4)
        loop.train(whole, [draw], plan, checkpoint=tmp_path / "never", report=lambda _: None)
        monkeypatch.setattr(loop, "SECONDS_PER_CHECKPOINT", -1)
        monkeypatch.setattr(loop, "STEPS_PER_REPORT", 2)

        def stop(progress: loop.Progress) -> None:
            if progress.step == 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            loop.train(cut, [draw], plan, checkpoint=tmp_path / "cut", report=stop)
        loop.train(continued, [draw], plan, checkpoint=tmp_path / "cut", report=lambda _: None)

        for name, weights in whole.state_dict().items():
            assert torch.allclose(weights, continued.state_dict()[name], atol=1e-6), name

    def plan(self, *, passes: float) -> Any:
        from service.training.loop import Plan

        return Plan(passes=passes, tokens_per_batch=1024, learning_rate=3e-2, head_learning_rate=3e-2)

    def draw(self) -> Any:
        import torch

        from service.training.batches import PackedTensors

        return PackedTensors(packed_examples(), torch.device("cpu"))

    def reader(self, seed: int) -> Any:
        import torch

        from service.training.model import SpanReader

        torch.manual_seed(seed)
        return SpanReader(words_alone(vocabulary=997, width=16), 16)


@pytest.mark.models
def test_a_teacher_reads_the_same_words_by_its_own_numbers(tmp_path: Path) -> None:
    import tokenizers
    import torch

    from service.training import loop
    from service.training.model import SpanReader

    bert = tmp_path / "bert"
    own = tmp_path / "own"
    for folder, words in (
        (bert, ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "ferry")),
        (own, ("<s>", "<pad>", "</s>", "ferry", "[UNK]")),
    ):
        folder.mkdir()
        vocabulary = {word: number for number, word in enumerate(words)}
        model = tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]")
        tokenizers.Tokenizer(model).save(str(folder / "tokenizer.json"))
    seen: list[Any] = []
    encoder = words_alone(vocabulary=5, width=8)
    encoder.words.register_forward_hook(lambda _module, given, _result: seen.append(given[0]))
    reader = loop.with_words_of(SpanReader(encoder, 8), own, bert)

    reader(torch.tensor([[2, 4, 3, 0]]), torch.zeros((1, 4), dtype=torch.int64), torch.tensor([[1, 1, 1, 0]]))

    assert seen[0].tolist() == [[0, 3, 2, 1]]
