from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCKS = ["serve.lock", "test.lock"]
EVERY_LOCK = [*LOCKS, "txtai.lock"]
PINNED = re.compile(r"(?P<name>[a-z0-9][a-z0-9-]*)==(?P<version>[^ ;]+)(?: ; .+?)?(?: --hash=sha256:[0-9a-f]{64})+")


def requirements(lock: str) -> list[str]:
    """One line for each package, comments left out."""
    lines = (ROOT / "requirements" / lock).read_text("utf-8").replace("\\\n", " ").splitlines()
    return [" ".join(line.split()) for line in lines if line.strip() and not line.startswith("#")]


def pins(lock: str) -> dict[str, str]:
    matches = [PINNED.fullmatch(line) for line in requirements(lock)]
    return {match["name"]: match["version"] for match in matches if match}


def wanted(dependencies: list[str]) -> set[str]:
    return {re.split(r"[\[<>=! ;]", dependency)[0].lower() for dependency in dependencies}


@pytest.mark.parametrize("lock", EVERY_LOCK)
def test_every_locked_package_is_pinned_with_hashes(lock: str) -> None:
    assert [line for line in requirements(lock) if not PINNED.fullmatch(line)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_direct_dependency_is_locked(lock: str) -> None:
    assert wanted(PROJECT["project"]["dependencies"]) <= pins(lock).keys()


@pytest.mark.parametrize("lock", EVERY_LOCK)
def test_no_lock_holds_torch_or_what_only_graphics_cards_need(lock: str) -> None:
    assert [name for name in pins(lock) if name == "torch" or name.startswith(("nvidia-", "cuda-", "triton"))] == []


def test_serving_needs_no_library_of_models_or_plots() -> None:
    assert not {"sentence-transformers", "transformers", "onnx", "matplotlib"} & pins("serve.lock").keys()


def test_tests_run_on_the_versions_that_are_served() -> None:
    assert pins("serve.lock").items() <= pins("test.lock").items()
