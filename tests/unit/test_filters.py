from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.errors import InvalidFilter
from embeddings.filters import And, Comparison, FieldValue, Filter, Not, Or, matches, parse_filter

STONE: dict[str, FieldValue] = {
    "colour": "grey",
    "mass": 30.5,
    "count": 1,
    "polished": True,
    "tags": ("old", "rare"),
    "none": (),
    "@document_id": "chert",
    "@updated_at": datetime(2026, 5, 1, 12, tzinfo=UTC),
}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"colour": {"eq": "grey"}}, True),
        ({"colour": {"eq": "Grey"}}, False),
        ({"colour": {"ne": "grey"}}, False),
        ({"place": {"ne": "Tor"}}, True),
        ({"place": {"eq": "Tor"}}, False),
        ({"place": {"exists": False}}, True),
        ({"colour": {"exists": True}}, True),
        ({"none": {"exists": True}}, False),
        ({"colour": {"in": ["red", "grey"]}}, True),
        ({"colour": {"in": []}}, False),
        ({"mass": {"gt": 30, "lte": 30.5}}, True),
        ({"mass": {"lt": 30.5}}, False),
        ({"mass": {"gt": "3"}}, False),
        ({"colour": {"gte": "green"}}, True),
        ({"polished": {"eq": True}}, True),
        ({"polished": {"eq": 1}}, False),
        ({"count": {"eq": True}}, False),
        ({"count": {"eq": 1.0}}, True),
        ({"polished": {"gt": 0}}, False),
        ({"tags": {"eq": "rare"}}, True),
        ({"tags": {"in": ["new", "old"]}}, True),
        ({"tags": {"ne": "rare"}}, False),
        ({"tags": {"lt": "p"}}, True),
        ({"colour": {"eq": "grey"}, "polished": {"eq": False}}, False),
        ({"and": [{"mass": {"gt": 10}}, {"mass": {"lt": 40}}]}, True),
        ({"or": [{"colour": {"eq": "red"}}, {"count": {"eq": 1}}]}, True),
        ({"not": {"colour": {"eq": "grey"}}}, False),
        ({"not": {"place": {"gt": 3}}}, True),
        ({"@document_id": {"in": ["beryl", "chert"]}}, True),
        ({"@updated_at": {"gte": "2026-05-01"}}, True),
        ({"@updated_at": {"lt": "2026-05-01T14:00:00+02:00"}}, False),
        ({"@updated_at": {"eq": "2026-05-01t12:00:00.000z"}}, True),
        ({"@title": {"exists": False}}, True),
    ],
    ids=str,
)
def test_a_filter_lets_through_what_it_says(raw: object, expected: bool) -> None:
    assert matches(parse_filter(raw), STONE) is expected


def test_the_tree_follows_the_json() -> None:
    raw = {"a": {"gt": 1, "lt": 5}, "or": [{"b": {"eq": "x"}}, {"not": {"@created_at": {"lt": "2026-01-01"}}}]}
    first = And((Comparison("a", "gt", 1), Comparison("a", "lt", 5)))
    second = Or((Comparison("b", "eq", "x"), Not(Comparison("@created_at", "lt", datetime(2026, 1, 1, tzinfo=UTC)))))
    assert parse_filter(raw) == And((first, second))


def nested(levels: int) -> object:
    raw: object = {"a": {"eq": 1}}
    for _ in range(levels):
        raw = {"not": raw}
    return raw


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        ([], "/filter"),
        ({}, "/filter"),
        (None, "/filter"),
        ("colour", "/filter"),
        ({"mass": 3}, "/filter/mass"),
        ({"mass": {}}, "/filter/mass"),
        ({"mass": {"about": 3}}, "/filter/mass/about"),
        ({"mass": {"in": 3}}, "/filter/mass/in"),
        ({"mass": {"in": [1, None]}}, "/filter/mass/in/1"),
        ({"mass": {"in": list(range(257))}}, "/filter/mass/in"),
        ({"mass": {"eq": None}}, "/filter/mass/eq"),
        ({"mass": {"eq": [1]}}, "/filter/mass/eq"),
        ({"mass": {"eq": math.nan}}, "/filter/mass/eq"),
        ({"mass": {"gt": math.inf}}, "/filter/mass/gt"),
        ({"mass": {"eq": 2**63}}, "/filter/mass/eq"),
        ({"mass": {"gt": True}}, "/filter/mass/gt"),
        ({"place": {"exists": "maybe"}}, "/filter/place/exists"),
        ({"and": {"mass": {"eq": 1}}}, "/filter/and"),
        ({"and": []}, "/filter/and"),
        ({"or": [{"mass": {"eq": 1}}, {"mass": 1}]}, "/filter/or/1/mass"),
        ({"not": []}, "/filter/not"),
        ({"@nonsense": {"eq": 1}}, "/filter/@nonsense"),
        ({"@title": {"eq": 1}}, "/filter/@title/eq"),
        ({"@updated_at": {"gte": "yesterday"}}, "/filter/@updated_at/gte"),
        ({"@updated_at": {"gte": "2026-02-30"}}, "/filter/@updated_at/gte"),
        ({"@updated_at": {"gte": "2026-01-01T00:00:00"}}, "/filter/@updated_at/gte"),
        ({"@updated_at": {"gte": "0001-01-01T00:00:00+05:00"}}, "/filter/@updated_at/gte"),
        ({"@updated_at": {"gte": 5}}, "/filter/@updated_at/gte"),
        ({"a/b~c": {"about": 1}}, "/filter/a~1b~0c/about"),
        ({"": {"eq": 1}}, "/filter/"),
        ({"a" * 201: {"eq": 1}}, "/filter/" + "a" * 200),
        ({str(number): {"eq": 1} for number in range(65)}, "/filter/64/eq"),
        ({"or": [{"a": {"eq": 1}}] * 65}, "/filter/or"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_malformed_filter_is_refused_where_it_is_wrong(raw: object, pointer: str) -> None:
    with pytest.raises(InvalidFilter) as refusal:
        parse_filter(raw)
    assert refusal.value.field == pointer


@pytest.mark.parametrize("levels", [16, 3000])
def test_deep_nesting_is_refused(levels: int) -> None:
    with pytest.raises(InvalidFilter) as refusal:
        parse_filter(nested(levels))
    assert refusal.value.field == "/filter" + "/not" * 16


def test_fifteen_levels_below_the_first_are_enough() -> None:
    assert matches(parse_filter(nested(15)), {"a": 2})


scalars = st.sampled_from([0, 1, 1.0, True, False, "", "a", "b"])
fields = st.sampled_from(["a", "b", "c"])
comparisons = st.one_of(
    st.builds(Comparison, fields, st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte"]), scalars),
    st.builds(Comparison, fields, st.just("in"), st.lists(scalars, max_size=3).map(tuple)),
    st.builds(Comparison, fields, st.just("exists"), st.booleans()),
)
filters: st.SearchStrategy[Filter] = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=6,
)
documents = st.dictionaries(fields, st.one_of(scalars, st.lists(st.sampled_from(["a", "b"])).map(tuple)))


@given(filters, filters, documents)
def test_de_morgan_holds(one: Filter, other: Filter, document: dict[str, FieldValue]) -> None:
    neither = Not(Or((one, other)))
    assert matches(neither, document) == matches(And((Not(one), Not(other))), document)
    assert matches(Not(And((one, other))), document) == matches(Or((Not(one), Not(other))), document)
    assert matches(Not(Not(one)), document) == matches(one, document)


@given(fields, scalars, documents)
def test_ne_is_not_eq_and_in_is_any_eq(field: str, value: str | float, document: dict[str, FieldValue]) -> None:
    equal = Comparison(field, "eq", value)
    assert matches(Comparison(field, "ne", value), document) != matches(equal, document)
    assert matches(Comparison(field, "in", (value,)), document) == matches(equal, document)
    assert matches(Comparison(field, "in", ()), document) is False


def raw_of(filter: Filter) -> object:
    match filter:
        case And(parts):
            return {"and": [raw_of(part) for part in parts]}
        case Or(parts):
            return {"or": [raw_of(part) for part in parts]}
        case Not(part):
            return {"not": raw_of(part)}
        case Comparison(field, op, value):
            return {field: {op: list(value) if isinstance(value, tuple) else value}}


@given(filters.filter(lambda filter: "True" not in str(filter) and "False" not in str(filter)))
def test_what_is_written_as_json_is_read_back(filter: Filter) -> None:
    assert parse_filter(raw_of(filter)) == filter


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["and", "or", "not", "eq", "in", "@title", "@created_at", "x"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_a_filter_or_refused_with_a_pointer(raw: object) -> None:
    try:
        matches(parse_filter(raw), STONE)
    except InvalidFilter as refusal:
        pointer = refusal.field or ""
    else:
        pointer = "/filter"
    assert pointer.startswith("/filter")
