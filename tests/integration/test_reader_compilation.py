from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from embeddings.encoders.compiled import DEFAULT_MODEL, TOKENIZER
from embeddings.errors import ModelMissing, ModelUnsound
from service.answering.domain import ReadingPassage
from service.answering.readers.span import MANIFEST, MODEL, SpanReader

QUESTION = "Who founded the bakery?"
TEXTS = (
    "Pemberlow Bakery was founded by Ada Marsh in 1921.",
    "The ferry stopped when the bridge was built.",
    "ok",
)


def passage(text: str) -> ReadingPassage:
    return ReadingPassage(text=text, context="Pemberlow", similarity=0.5, bm25=None, fused=0.5)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of the right shape that was never trained."""
    import torch
    from transformers import BertConfig, BertForQuestionAnswering, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("reader") / "untrained"
    torch.manual_seed(3)
    config = BertConfig(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96, initializer_range=0.2
    )
    BertForQuestionAnswering(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_file=str(DEFAULT_MODEL / TOKENIZER)).save_pretrained(folder)  # type: ignore[no-untyped-call]
    return folder


@pytest.fixture(scope="module")
def compiled(model: Path) -> Path:
    from service.answering.readers.compilation import compile_question_answering

    folder = model.parent / "compiled"
    compile_question_answering(model, folder)
    return folder


@pytest.mark.models
def test_any_extractive_model_can_be_compiled_and_keeps_its_scores(model: Path, compiled: Path) -> None:
    import torch
    from transformers import BertForQuestionAnswering

    original = BertForQuestionAnswering.from_pretrained(model)
    reader = SpanReader.load(compiled, threads=2)
    [one] = reader.tokenizer.inputs(QUESTION, [("Pemberlow", TEXTS[0])])
    with torch.inference_mode():
        raw = original(input_ids=torch.tensor([one.token_ids]), token_type_ids=torch.tensor([one.segments]))
    own = slice(one.first, one.first + len(one.offsets))
    expected = (raw.start_logits[0, own] - raw.start_logits[0, 0]).numpy()

    scores = reader.score(one)

    assert np.abs(scores.starts - expected).max() < 0.1 * max(1.0, float(np.abs(expected).max()))
    assert scores.yes < -1e3
    assert scores.no < -1e3


@pytest.mark.models
def test_a_compiled_reader_gives_a_passage_the_same_scores_whatever_is_beside_it(compiled: Path) -> None:
    reader = SpanReader.load(compiled, threads=2)
    inputs = reader.tokenizer.inputs(QUESTION, [("", text) for text in TEXTS])

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(reader.score, inputs))

    for one, beside in zip(inputs, together, strict=True):
        alone = reader.score(one)
        assert np.array_equal(alone.starts, beside.starts)
        assert np.array_equal(alone.ends, beside.ends)


@pytest.mark.models
def test_a_reader_that_is_missing_or_damaged_says_so(compiled: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"manifest\.json"):
        SpanReader.load(tmp_path / "nowhere", threads=1)
    folder = tmp_path / "damaged"
    shutil.copytree(compiled, folder)
    (folder / MODEL).write_bytes((folder / MODEL).read_bytes()[:-1])
    with pytest.raises(ModelUnsound, match=r"model\.onnx is damaged"):
        SpanReader.load(folder, threads=1)
    (folder / MANIFEST).write_text("{}", "utf-8")
    with pytest.raises(ModelUnsound, match=r"manifest\.json"):
        SpanReader.load(folder, threads=1)


@pytest.mark.models
def test_a_reader_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    from service.answering.readers.compilation import compile_question_answering

    with pytest.raises(ModelMissing, match="no-such-reader"):
        compile_question_answering(tmp_path / "no-such-reader", tmp_path / "out")
