"""The filter as SQL over a real store, against the pure judgement of the same filter."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embeddings.collection import Collection
from embeddings.domain import MetadataValue
from embeddings.filters import matches, parse_filter
from embeddings.library import Library
from tests.integration.conftest import parts, plain

DOCUMENTS: dict[str, dict[str, MetadataValue]] = {
    "agate": {"colour": "red", "mass": 10, "polished": True, "tags": ("a", "b"), "odd": 1},
    "beryl": {"colour": "green", "mass": 20, "polished": False, "odd": "1"},
    "chert": {"colour": "grey", "mass": 30.5, "tags": ("b",), "odd": True},
    "flint": {"colour": "grey", "mass": -40, "tags": (), "odd": 1.5},
    "plain": {},
}
STRINGS = st.sampled_from(["red", "grey", "a", "b", "1", "flint", "Stone agate", ""])
NUMBERS = st.sampled_from([10, 20, 30.5, 1, 1.5, 0, -40])


def comparisons(
    fields: list[str], values: st.SearchStrategy[Any], ordered: st.SearchStrategy[Any]
) -> st.SearchStrategy[Any]:
    field = st.sampled_from(fields)
    return st.one_of(
        st.tuples(field, st.sampled_from(["eq", "ne"]), values),
        st.tuples(field, st.sampled_from(["gt", "gte", "lt", "lte"]), ordered),
        st.tuples(field, st.just("in"), st.lists(values, max_size=3)),
        st.tuples(field, st.just("exists"), st.booleans()),
    ).map(lambda one: {one[0]: {one[1]: one[2]}})


COMPARISONS = st.one_of(
    comparisons(
        ["colour", "mass", "polished", "tags", "odd", "absent"], STRINGS | NUMBERS | st.booleans(), STRINGS | NUMBERS
    ),
    comparisons(["@document_id", "@title", "@uri"], STRINGS, STRINGS),
)
FILTERS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"and": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"or": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def stones() -> Iterator[Collection]:
    with tempfile.TemporaryDirectory() as folder:
        library = Library(Path(folder), parts(), free_disk_floor_bytes=0)
        library.create("stones")
        for name, metadata in DOCUMENTS.items():
            source = plain(f"The {name} lies in a drawer.", title=f"Stone {name}", metadata=metadata)
            library.collection("stones").put(name, source)
        yield library.collection("stones")
        library.close()


@given(raw=FILTERS)
@settings(max_examples=300, deadline=None)
def test_sql_lets_through_exactly_the_documents_that_match(stones: Collection, raw: dict[str, Any]) -> None:
    filter = parse_filter(raw)
    listed = {record.document_id for record in stones.documents(filter=filter)}
    expected = {
        name
        for name, metadata in DOCUMENTS.items()
        if matches(filter, {**metadata, "@document_id": name, "@title": f"Stone {name}"})
    }
    assert listed == expected


def test_times_are_compared_as_times(stones: Collection) -> None:
    updated = stones.document("agate").updated_at
    names = {
        op: {
            record.document_id
            for record in stones.documents(filter=parse_filter({"@updated_at": {op: updated.isoformat()}}))
        }
        for op in ("lt", "lte", "gt", "gte", "eq")
    }
    assert "agate" in names["lte"] & names["gte"] & names["eq"]
    assert "agate" not in names["lt"] | names["gt"]
    assert stones.documents(filter=parse_filter({"@created_at": {"gt": datetime.now(UTC).isoformat()}})) == []
