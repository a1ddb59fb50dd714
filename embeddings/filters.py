"""Filters over metadata and document fields: parsed from JSON, and judged against one document. Pure.

A filter is `{"field": {"op": value}}`; several fields, and several operators of one field, are joined by and.
`{"and": […]}`, `{"or": […]}` and `{"not": {…}}` combine filters.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, assert_never

from embeddings.errors import InvalidFilter

Operator: TypeAlias = Literal["eq", "ne", "in", "gt", "gte", "lt", "lte", "exists"]
Scalar: TypeAlias = str | int | float | bool | datetime
FieldValue: TypeAlias = Scalar | tuple[str, ...]

DOCUMENT_FIELDS = frozenset({"@created_at", "@updated_at", "@media_type", "@title", "@uri", "@document_id"})
TIME_FIELDS = frozenset({"@created_at", "@updated_at"})

_DEEPEST = 16
_MOST_COMPARISONS = 64
_MOST_LISTED = 256
_LONGEST_FIELD = 200
_ORDERINGS: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": lambda held, bound: held > bound,
    "gte": lambda held, bound: held >= bound,
    "lt": lambda held, bound: held < bound,
    "lte": lambda held, bound: held <= bound,
}
_OPERATORS = ("eq", "ne", "in", *_ORDERINGS, "exists")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One operator on one field; the value of `in` is a tuple, that of `exists` a bool, those of times are in UTC."""

    field: str
    op: Operator
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class And:
    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    filter: Filter


Filter: TypeAlias = Comparison | And | Or | Not


def parse_filter(raw: object) -> Filter:
    """The filter that JSON describes. Raises InvalidFilter, with a pointer that begins with `/filter`.

    `{}`, `and` of nothing and `or` of nothing are refused, as they are more likely mistakes than wishes.
    """
    return _Parser().parse(raw, "/filter", 1)


def matches(filter: Filter, fields: Mapping[str, FieldValue]) -> bool:
    """Whether a document with these fields passes: its metadata, and its own fields under names with `@`.

    A missing field passes only `ne`, `exists: false` and `not`. Times are aware datetimes.
    """
    match filter:
        case Comparison():
            return _compares(filter, fields.get(filter.field))
        case And():
            return all(matches(one, fields) for one in filter.filters)
        case Or():
            return any(matches(one, fields) for one in filter.filters)
        case Not():
            return not matches(filter.filter, fields)
        case _:
            assert_never(filter)


def _compares(comparison: Comparison, held: FieldValue | None) -> bool:
    """A list passes where one of its values does; an empty one is as good as missing."""
    several = () if held is None else held if isinstance(held, tuple) else (held,)
    value = comparison.value
    match comparison.op:
        case "exists":
            return bool(several) == value
        case "eq":
            return any(_equal(one, value) for one in several)
        case "ne":
            return not any(_equal(one, value) for one in several)
        case "in":
            return isinstance(value, tuple) and any(_equal(one, listed) for one in several for listed in value)
        case ordering:
            return any(_kind(one) == _kind(value) and _ORDERINGS[ordering](one, value) for one in several)


def _equal(held: object, value: object) -> bool:
    return _kind(held) == _kind(value) and held == value


def _kind(value: object) -> str:
    """What a value can be compared with: true is not 1, and 1 is 1.0."""
    match value:
        case bool():
            return "truth"
        case int() | float():
            return "number"
        case str():
            return "text"
        case datetime():
            return "time"
        case _:
            return "other"


class _Parser:
    def __init__(self) -> None:
        self._comparisons = 0

    def parse(self, raw: object, pointer: str, depth: int) -> Filter:
        if depth > _DEEPEST:
            raise InvalidFilter(f"Filters nest at most {_DEEPEST} levels deep.", field=pointer)
        if not isinstance(raw, Mapping) or not raw:
            raise InvalidFilter('A filter is an object such as {"field": {"eq": "value"}}.', field=pointer)
        return _all([self._member(str(key), value, _below(pointer, str(key)), depth) for key, value in raw.items()])

    def _member(self, key: str, value: object, pointer: str, depth: int) -> Filter:
        match key:
            case "and":
                return And(self._several(value, pointer, depth))
            case "or":
                return Or(self._several(value, pointer, depth))
            case "not":
                return Not(self.parse(value, pointer, depth + 1))
            case _:
                return self._field(key, value, pointer)

    def _several(self, raw: object, pointer: str, depth: int) -> tuple[Filter, ...]:
        if not isinstance(raw, list) or not raw:
            raise InvalidFilter("Give a list of one filter or more.", field=pointer)
        if len(raw) > _MOST_COMPARISONS:
            raise InvalidFilter(f"A filter has at most {_MOST_COMPARISONS} comparisons.", field=pointer)
        return tuple(self.parse(one, f"{pointer}/{number}", depth + 1) for number, one in enumerate(raw))

    def _field(self, field: str, raw: object, pointer: str) -> Filter:
        if field.startswith("@") and field not in DOCUMENT_FIELDS:
            known = ", ".join(sorted(DOCUMENT_FIELDS))
            raise InvalidFilter(f"A field that begins with @ is one of {known}.", field=pointer)
        if not 1 <= len(field) <= _LONGEST_FIELD:
            raise InvalidFilter(f"The name of a field has 1 to {_LONGEST_FIELD} characters.", field=pointer)
        if not isinstance(raw, Mapping) or not raw:
            raise InvalidFilter('Give an operator and a value, such as {"eq": "value"}.', field=pointer)
        return _all([self._comparison(field, str(op), value, _below(pointer, str(op))) for op, value in raw.items()])

    def _comparison(self, field: str, op: str, raw: object, pointer: str) -> Comparison:
        self._comparisons += 1
        if self._comparisons > _MOST_COMPARISONS:
            raise InvalidFilter(f"A filter has at most {_MOST_COMPARISONS} comparisons.", field=pointer)
        match op:
            case "exists":
                if not isinstance(raw, bool):
                    raise InvalidFilter("The value of exists is true or false.", field=pointer)
                return Comparison(field, op, raw)
            case "in":
                return Comparison(field, op, _listed(field, raw, pointer))
            case "eq" | "ne":
                return Comparison(field, op, _scalar(field, raw, pointer))
            case "gt" | "gte" | "lt" | "lte":
                value = _scalar(field, raw, pointer)
                if isinstance(value, bool):
                    raise InvalidFilter(f"The value of {op} is a number or a string.", field=pointer)
                return Comparison(field, op, value)
            case _:
                raise InvalidFilter(f"The operators are {', '.join(_OPERATORS)}.", field=pointer)


def _all(filters: list[Filter]) -> Filter:
    return filters[0] if len(filters) == 1 else And(tuple(filters))


def _listed(field: str, raw: object, pointer: str) -> tuple[Scalar, ...]:
    if not isinstance(raw, list) or len(raw) > _MOST_LISTED:
        raise InvalidFilter(f"The value of in is a list of at most {_MOST_LISTED} values.", field=pointer)
    return tuple(_scalar(field, one, f"{pointer}/{number}") for number, one in enumerate(raw))


def _scalar(field: str, raw: object, pointer: str) -> Scalar:
    if field in TIME_FIELDS:
        return _time(raw, pointer)
    match raw:
        case bool() | str():
            value: Scalar = raw
        case int() if -(2**63) <= raw < 2**63:
            value = raw
        case float() if math.isfinite(raw):
            value = raw
        case _:
            raise InvalidFilter("A value is a string, true, false, or a finite number of 64 bits.", field=pointer)
    if field in DOCUMENT_FIELDS and not isinstance(value, str):
        raise InvalidFilter(f"{field} is compared with a string.", field=pointer)
    return value


_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d))?", re.ASCII)


def _time(raw: object, pointer: str) -> datetime:
    """A date is its midnight in UTC."""
    try:
        if isinstance(raw, str) and _TIME.fullmatch(raw):
            parsed = datetime.fromisoformat(raw.upper())
            return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidFilter("A time is a date, or a date and time as RFC 3339 has it.", field=pointer)


def _below(pointer: str, key: str) -> str:
    """The pointer to a member, after RFC 6901."""
    return f"{pointer}/{key[:_LONGEST_FIELD].replace('~', '~0').replace('/', '~1')}"
