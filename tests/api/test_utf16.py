from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.errors import InvalidRange
from service.api.utf16 import code_points


@given(st.text())
def test_the_units_before_a_code_point_give_it_back(text: str) -> None:
    for index in range(len(text) + 1):
        assert code_points(text, len(text[:index].encode("utf-16-le")) // 2) == index


def test_an_offset_past_the_end_is_clamped() -> None:
    assert code_points("a🐦", 99) == 2


def test_an_offset_within_a_pair_is_refused() -> None:
    with pytest.raises(InvalidRange):
        code_points("a🐦b", 2)
