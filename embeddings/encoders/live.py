"""Runs any model with sentence-transformers itself, on a GPU where there is one. Needs the extra `loccit[models]`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from embeddings.arrays import Vectors
from embeddings.encoders.compilation import load_sentence_transformer, tokenizer_of
from embeddings.encoders.tokenization import FileTokenizer


class LiveEncoder:
    def __init__(self, model: Any, *, name: str) -> None:
        self._model = model
        self._name = name
        self._tokenizer = tokenizer_of(model)
        self._fingerprint = _fingerprint(model)
        self._lock = Lock()
        """One run at a time: torch has threads of its own."""

    @classmethod
    def load(cls, model: str | Path) -> LiveEncoder:
        """`model` is a folder or a hub name. Raises ModelMissing."""
        return cls(load_sentence_transformer(model), name=Path(model).name)

    @property
    def name(self) -> str:
        return self._name

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def dimension(self) -> int:
        return int(self._model.get_embedding_dimension())

    @property
    def tokenizer(self) -> FileTokenizer:
        return self._tokenizer

    def encode_questions(self, questions: Sequence[str]) -> Vectors:
        return self._encode(questions, self._model.encode_query)

    def encode_passages(self, passages: Sequence[str]) -> Vectors:
        return self._encode(passages, self._model.encode_document)

    def _encode(self, texts: Sequence[str], encode: Callable[..., Any]) -> Vectors:
        readable = self._tokenizer.readable(texts)
        if not readable:
            return np.empty((0, self.dimension), np.float32)
        with self._lock:
            vectors = encode(readable, normalize_embeddings=True, show_progress_bar=False)
        return np.ascontiguousarray(vectors, np.float32)


def _fingerprint(model: Any) -> str:
    """Of the weights and of all that decides how they are used."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().numpy().tobytes())
    settings = [model.max_seq_length, model.prompts, [repr(step) for step in model]]
    digest.update(json.dumps(settings, sort_keys=True).encode())
    return digest.hexdigest()
