"""Every error of the engine is a problem over HTTP, and every problem has a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from embeddings import errors
from embeddings.errors import LoccitError
from service.api.problems import INTERNAL_ERROR, KINDS, Kind, all_kinds, problem_of

PAGES = Path(__file__).parents[2] / "docs" / "problems"


def leaves(error: type[LoccitError]) -> Iterator[type[LoccitError]]:
    below = error.__subclasses__()
    if not below:
        yield error
    for one in below:
        yield from leaves(one)


def test_every_leaf_of_the_error_tree_has_a_row_and_every_row_is_a_leaf() -> None:
    assert set(KINDS) == {leaf for leaf in leaves(LoccitError) if leaf.__module__ == errors.__name__}


def test_no_two_problems_share_a_slug() -> None:
    slugs = [kind.slug for kind in all_kinds()]
    assert len(slugs) == len(set(slugs))


@pytest.mark.parametrize("kind", all_kinds(), ids=lambda kind: kind.slug)
def test_every_problem_has_a_page_with_its_title_and_status(kind: Kind) -> None:
    page = (PAGES / f"{kind.slug}.md").read_text("utf-8")
    assert page.startswith(f"# {kind.title}\n\nStatus {kind.status}.\n")
    assert "## What to do" in page


def test_every_page_belongs_to_a_problem() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == {kind.slug for kind in all_kinds()}


def test_an_error_without_a_row_tells_nothing() -> None:
    problem = problem_of(ValueError("/home/somebody/secret.py"))
    assert problem.kind is INTERNAL_ERROR
    assert "secret" not in problem.detail
