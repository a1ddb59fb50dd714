from __future__ import annotations

import json
from pathlib import Path

import pytest

from embeddings.errors import ModelMissing, ModelUnsound
from service.answering.readers.confidence import Confidence


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"features": 1}', "\ud800"])
def test_a_confidence_that_is_damaged_or_missing_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "confidence.json"
    with pytest.raises(ModelMissing, match=r"confidence\.json"):
        Confidence.load(path)
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ModelUnsound, match=r"confidence\.json is damaged"):
        Confidence.load(path)


def test_a_confidence_comes_back_as_it_was_saved_and_for_its_own_features_only(tmp_path: Path) -> None:
    path = tmp_path / "confidence.json"
    Confidence.plain().save(path)
    assert Confidence.load(path) == Confidence.plain()
    stored = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**stored, "features": stored["features"][1:]}), "utf-8")
    with pytest.raises(ModelUnsound, match="other features"):
        Confidence.load(path)
