"""What no source file of the product may name, found by its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for package in ("embeddings", "service") for path in (ROOT / package).rglob("*.py"))
ENVIRONMENT = {"os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv", "os.unsetenv"}
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
UNSAFE_NAMES = {"eval", "exec", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "torch.load"}


def names(tree: ast.AST) -> Iterator[str]:
    """Everything imported or referred to, dotted, with `import x as y` undone."""
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases |= {alias.asname: alias.name for alias in node.names if alias.asname}
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            aliases |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            head, _, rest = ast.unparse(node).partition(".")
            yield ".".join(filter(None, (aliases.get(head, head), rest)))


def unpickling_loads(tree: ast.AST) -> list[int]:
    """The lines of every `allow_pickle` that is not plainly False."""
    asked = [node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "allow_pickle"]
    return [value.lineno for value in asked if not (isinstance(value, ast.Constant) and value.value is False)]


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_runs_code_from_data_is_used(path: Path) -> None:
    tree = parsed(path)
    used = set(names(tree))
    assert not used & UNSAFE_NAMES
    assert not {name.partition(".")[0] for name in used} & UNSAFE_MODULES
    assert not unpickling_loads(tree)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_settings_read_the_environment(path: Path) -> None:
    if path != ROOT / "service" / "settings.py":
        assert not set(names(parsed(path))) & ENVIRONMENT


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import os\nos.environ['A']", "os.environ"),
        ("import os as system\nsystem.getenv('A')", "os.getenv"),
        ("from os import environ as variables", "os.environ"),
        ("from yaml import load\nload(text)", "yaml.load"),
        ("import torch\nmodel = torch.load(path)", "torch.load"),
        ("eval(text)", "eval"),
    ],
)
def test_a_forbidden_name_is_seen_however_it_is_spelled(source: str, name: str) -> None:
    assert name in set(names(ast.parse(source)))


def test_allowing_pickle_is_seen() -> None:
    assert unpickling_loads(ast.parse("np.load(path, allow_pickle=True)")) == [1]
    assert unpickling_loads(ast.parse("np.load(path, allow_pickle=False)")) == []
