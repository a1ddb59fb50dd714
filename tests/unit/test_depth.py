from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from embeddings.domain import Hit, Passage, Scores
from service.answering.depth import NEAR, ROUND, reading_order


def hit(number: int, fused: float) -> Hit:
    passage = Passage(
        passage_id=f"p{number}",
        collection="c",
        document_id="d",
        version=1,
        current=True,
        title="",
        uri=None,
        headings=(),
        page=None,
        start=0,
        end=1,
        text="a",
        metadata={},
    )
    return Hit(passage=passage, scores=Scores(fused=fused))


@given(st.lists(st.floats(min_value=0, max_value=1), max_size=20))
def test_everything_found_is_in_the_order_once_and_what_is_nearest_is_promising(fused: list[float]) -> None:
    hits = [hit(number, score) for number, score in enumerate(fused)]

    order = reading_order(hits)

    assert sorted(order.hits, key=hits.index) == hits
    promising, others = order.hits[: order.promising], order.hits[order.promising :]
    assert all(list(kind) == sorted(kind, key=hits.index) for kind in (promising, others))
    assert all((hit in promising) == (score >= NEAR * max(fused)) for hit, score in zip(hits, fused, strict=True))


@given(st.lists(st.floats(min_value=0.01, max_value=1), max_size=20))
def test_rounds_read_the_promising_ones_and_then_all_others(fused: list[float]) -> None:
    order = reading_order([hit(number, score) for number, score in enumerate(fused)])
    read, ends = 0, []
    while step := order.next_round(read):
        assert step <= ROUND or read >= order.promising
        read += step
        ends.append(read)

    assert read == len(fused)
    assert not fused or order.promising in ends
