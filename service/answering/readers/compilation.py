"""Turns a model for extractive question answering into a folder that `SpanReader` runs. Needs `loccit[models]`."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from embeddings.encoders.compilation import export
from embeddings.encoders.quantization import quantize
from embeddings.errors import ModelMissing
from service.answering.readers.confidence import Confidence
from service.answering.readers.inputs import ReaderInput, ReaderTokenizer
from service.answering.readers.span import CONFIDENCE, MANIFEST, MODEL, TOKENIZER, ReaderManifest

INPUTS = ("input_ids", "token_type_ids")
OUTPUTS = ("starts", "ends", "verdicts")
NEVER = -1e4
"""The score of a verdict that a model knows nothing of."""
LONGEST = 384
SMALLEST_TABLE = 1 << 17
"""Elements: that of positions is quantized too, which keeps the file that ships under 23 MB."""

SAMPLES = (
    ("Who founded the bakery?", "Pemberlow Bakery was founded by Ada Marsh in 1921. Its oven burns beech wood."),
    (
        "How much of the budget goes to schools?",
        "The committee approved the budget on 14 March 2019; 42% of it goes to schools, the rest to a harbour wall.",
    ),
    ("Is the ferry still in use?", "The ferry ran until the bridge was built in 1884. Today only its landing is left."),
    ("def area(radius)", "def area(radius):\n    return 3.14159 * radius ** 2"),
    ("国家科技计划的主要目标是什么？", "国家科技计划的主要目标是创新。"),
    (
        "invoice 2023-0815 total",
        "12 chairs at 49.90, 3 tables at 219.00, delivery free of charge; payable in 30 days. " * 4,
    ),
)


def compile_reader(
    module: Any,
    tokenizer_definition: str,
    output: Path,
    *,
    name: str,
    source: str,
    license_name: str,
    confidence: Confidence,
    max_tokens: int = LONGEST,
    samples: Sequence[tuple[str, str]] = SAMPLES,
) -> None:
    """Writes the folder `output`, in place of what is there. `samples` are questions and passages to measure on."""
    tokenizer = ReaderTokenizer(tokenizer_definition, max_tokens=max_tokens)
    inputs = [one for question, passage in samples for one in tokenizer.inputs(question, [("", passage)])]
    exported = export(module, input_names=INPUTS, output_names=OUTPUTS, max_length=max_tokens)
    quantized = quantize(exported, [feed(one) for one in inputs], smallest_table=SMALLEST_TABLE)
    content = quantized.SerializeToString(deterministic=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent, prefix=".compiling-") as temporary:
        folder = Path(temporary)
        (folder / MODEL).write_bytes(content)
        (folder / TOKENIZER).write_text(tokenizer_definition, "utf-8")
        confidence.save(folder / CONFIDENCE)
        files = {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in (MODEL, TOKENIZER)}
        manifest = ReaderManifest(name=name, source=source, license=license_name, max_tokens=max_tokens, files=files)
        (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2, ensure_ascii=False) + "\n", "utf-8")
        output.mkdir(exist_ok=True)
        for file in (MODEL, TOKENIZER, CONFIDENCE, MANIFEST):
            os.replace(folder / file, output / file)


def feed(one: ReaderInput) -> dict[str, Any]:
    return {
        "input_ids": np.array([one.token_ids], np.int64),
        "token_type_ids": np.array([one.segments], np.int64),
    }


def compile_question_answering(model: str | Path, output: Path) -> None:
    """Any extractive model of Hugging Face's, by folder or hub name. Raises ModelMissing.

    What such a model gives to its first token stands for no answer. Its probabilities are taken as they are, until
    `loccit calibrate` fits them.
    """
    transformers = _import("transformers")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = transformers.AutoModelForQuestionAnswering.from_pretrained(
                str(model), trust_remote_code=False, use_safetensors=True, attn_implementation="eager"
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(str(model), use_fast=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelMissing(f"transformers cannot load the reader {Path(model).name}: {error}") from error
    compile_reader(
        _against_nothing(loaded),
        tokenizer.backend_tokenizer.to_str(),
        output,
        name=Path(model).name,
        source=Path(model).name,
        license_name="unknown",
        confidence=Confidence.plain(),
    )


def _against_nothing(model: Any) -> Any:
    """The model's scores as a span reader's: no answer is 0, and yes and no are never said."""
    torch = _import("torch")
    knows_segments = "token_type_ids" in inspect.signature(model.forward).parameters

    class AgainstNothing(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, token_type_ids: Any) -> Any:
            known = {"token_type_ids": token_type_ids} if knows_segments else {}
            scores = self.model(input_ids=input_ids, **known)
            starts, ends = (part - part[:, 0:1] for part in (scores.start_logits, scores.end_logits))
            return starts, ends, starts[:, 0:1].repeat(1, 2) + NEVER

    return AgainstNothing()


def _import(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ModelMissing("compiling needs a package that is not installed: pip install 'loccit[models]'") from error
