"""Runs a compiled encoder with ONNX Runtime; needs neither torch nor transformers."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime

from embeddings.arrays import Vectors
from embeddings.encoders.session import open_session
from embeddings.encoders.tokenization import FileTokenizer, TokenIds
from embeddings.errors import ModelMissing, ModelUnsound

DEFAULT_MODEL = Path(__file__).parent / "minilm"

MANIFEST = "manifest.json"
MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"
REFERENCES = "references.json"
FILES = (MODEL, TOKENIZER, REFERENCES)

LEAST_REFERENCE_SIMILARITY = 0.995


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    name: str
    source: str
    license: str
    dimension: int
    max_length: int
    """Of an input, in tokens, special ones and prompt counted."""
    pooling: str
    question_prompt: str
    passage_prompt: str
    files: Mapping[str, str]
    """SHA-256 of each file, in hexadecimal."""
    fingerprint: str


class CompiledEncoder:
    """Every text is a run of its own, so that its vector cannot depend on the texts beside it."""

    def __init__(
        self, manifest: Manifest, session: onnxruntime.InferenceSession, tokenizer: FileTokenizer, *, threads: int
    ) -> None:
        self._manifest = manifest
        self._session = session
        self._tokenizer = tokenizer
        self._threads = threads
        self._pool = ThreadPoolExecutor(max(1, threads - 1), thread_name_prefix="encoder")

    @classmethod
    def load(cls, folder: Path, *, threads: int) -> CompiledEncoder:
        """Raises ModelMissing without the files, ModelUnsound where they or this processor's vectors are not right."""
        manifest = read_manifest(folder)
        require_intact(folder, manifest.files, of="encoder")
        encoder = cls(
            manifest,
            open_session(folder / MODEL),
            FileTokenizer(
                (folder / TOKENIZER).read_text("utf-8"), max_length=manifest.max_length, prompt=manifest.passage_prompt
            ),
            threads=threads,
        )
        encoder._check_references(json.loads((folder / REFERENCES).read_text("utf-8")))
        return encoder

    @property
    def name(self) -> str:
        return self._manifest.name

    @property
    def fingerprint(self) -> str:
        return self._manifest.fingerprint

    @property
    def dimension(self) -> int:
        return self._manifest.dimension

    @property
    def tokenizer(self) -> FileTokenizer:
        return self._tokenizer

    def encode_questions(self, questions: Sequence[str]) -> Vectors:
        return self._encode([self._manifest.question_prompt + text for text in questions])

    def encode_passages(self, passages: Sequence[str]) -> Vectors:
        return self._encode([self._manifest.passage_prompt + text for text in passages])

    def _encode(self, texts: list[str]) -> Vectors:
        """The calling thread works too, so that no call waits for the texts of another."""
        vectors = np.empty((len(texts), self.dimension), np.float32)
        inputs = self._tokenizer.token_ids(texts)
        shortest_first = sorted(range(len(inputs)), key=lambda index: len(inputs[index]))
        run = partial(self._run_all, inputs, vectors, deque(shortest_first))
        helpers = [self._pool.submit(run) for _ in range(min(self._threads, len(texts)) - 1)]
        run()
        for helper in helpers:
            if not helper.cancel():
                helper.result()
        return vectors

    def _run_all(self, inputs: list[TokenIds], vectors: Vectors, waiting: deque[int]) -> None:
        """Longest first, so that no thread waits long for another at the end."""
        while True:
            try:
                index = waiting.pop()
            except IndexError:
                return
            vectors[index] = run_one(self._session, inputs[index])

    def _check_references(self, references: Mapping[str, list[float]]) -> None:
        similarities = (self._encode(list(references)) * np.array(list(references.values()), np.float32)).sum(axis=1)
        if not similarities.min() >= LEAST_REFERENCE_SIMILARITY:
            raise ModelUnsound("this processor computes other vectors than the encoder's reference ones")


def read_manifest(folder: Path) -> Manifest:
    try:
        return Manifest(**json.loads((folder / MANIFEST).read_text("utf-8")))
    except FileNotFoundError as error:
        raise ModelMissing("the folder of the encoder holds no manifest.json: compile the model first") from error
    except (ValueError, TypeError) as error:
        raise ModelUnsound("the encoder's manifest.json cannot be read: compile the model again") from error


def require_intact(folder: Path, files: Mapping[str, str], *, of: str) -> None:
    """Each file has its SHA-256, in hexadecimal. Raises ModelMissing, ModelUnsound."""
    for name, digest in files.items():
        try:
            with (folder / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError as error:
            raise ModelMissing(f"the folder of the {of} holds no {name}: compile the model again") from error
        if found != digest:
            raise ModelUnsound(f"the {of}'s {name} is damaged: install it again")


def run_one(session: onnxruntime.InferenceSession, token_ids: TokenIds) -> Vectors:
    """The vector of one text, shape (dimension,)."""
    vector: Vectors = session.run(None, {"input_ids": np.array([token_ids], np.int64)})[0][0]
    return vector
