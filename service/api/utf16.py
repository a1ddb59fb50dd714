"""Offsets in UTF-16 code units, as JavaScript counts, and in code points."""

from __future__ import annotations

from embeddings.errors import InvalidRange

_UNIT_BYTES = 2


def code_points(text: str, units: int, *, field: str | None = None) -> int:
    """Code points of `text` before an offset of UTF-16 units, clamped to its end.

    Raises InvalidRange, which names the field, where the offset stands within a surrogate pair.
    """
    try:
        return len(text.encode("utf-16-le")[: _UNIT_BYTES * units].decode("utf-16-le"))
    except UnicodeDecodeError:
        raise InvalidRange(f"The offset {units} splits a surrogate pair; move it by one.", field=field) from None
