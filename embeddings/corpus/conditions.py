"""A filter as SQL: every value is a bound parameter, every column comes from the tables below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from embeddings.filters import And, Comparison, Filter, Not, Or

_COLUMNS: Mapping[str, str] = {
    "@document_id": "d.document_id",
    "@title": "v.title",
    "@uri": "v.uri",
    "@media_type": "v.media_type",
    "@created_at": "d.created_at",
    "@updated_at": "v.updated_at",
}
_OPERATORS: Mapping[str, str] = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Condition:
    """An SQL expression over `documents d` and `versions v`, true for the documents that a filter lets through."""

    sql: str = "TRUE"
    bindings: Mapping[str, Value] = field(default_factory=dict)


def condition(filter: Filter | None) -> Condition:
    if filter is None:
        return Condition()
    bindings: dict[str, Value] = {}
    return Condition(_expression(filter, bindings), bindings)


def kind_of(value: Value) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def _expression(filter: Filter, bindings: dict[str, Value]) -> str:
    match filter:
        case And(parts):
            return _joined(" AND ", parts, bindings, "TRUE")
        case Or(parts):
            return _joined(" OR ", parts, bindings, "FALSE")
        case Not(part):
            return f"NOT ({_expression(part, bindings)})"
        case Comparison():
            return _comparison(filter, bindings)
        case _:
            assert_never(filter)


def _joined(operator: str, parts: tuple[Filter, ...], bindings: dict[str, Value], empty: str) -> str:
    return operator.join(f"({_expression(part, bindings)})" for part in parts) or empty


def _comparison(comparison: Comparison, bindings: dict[str, Value]) -> str:
    column = _COLUMNS.get(comparison.field)
    match comparison.op, comparison.value:
        case "in", tuple(values):
            listed = [_single(comparison.field, column, "eq", value, bindings) for value in values]
            return " OR ".join(f"({one})" for one in listed) or "FALSE"
        case op, tuple():
            raise AssertionError(f"{op} takes no list: the parser lets none through")
        case "exists", wanted:
            there = f"{column} IS NOT NULL" if column else _in_fields(f"name = {_bind(comparison.field, bindings)}")
            return there if wanted else f"NOT ({there})"
        case "ne", value:
            return f"NOT ({_single(comparison.field, column, 'eq', value, bindings)})"
        case op, value:
            return _single(comparison.field, column, op, value, bindings)


def _single(name: str, column: str | None, op: str, value: Value | datetime, bindings: dict[str, Value]) -> str:
    plain = int(value.timestamp() * 1_000_000) if isinstance(value, datetime) else value
    bound = _bind(plain, bindings)
    if column:
        return f"coalesce({column} {_OPERATORS[op]} {bound}, FALSE)"
    kind = _bind(kind_of(plain), bindings)
    return _in_fields(f"name = {_bind(name, bindings)} AND kind = {kind} AND value {_OPERATORS[op]} {bound}")


def _in_fields(test: str) -> str:
    return f"v.version_key IN (SELECT version_key FROM fields WHERE {test})"


def _bind(value: Value, bindings: dict[str, Value]) -> str:
    name = f"f{len(bindings)}"
    bindings[name] = value
    return f":{name}"
