from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from embeddings.ahead import ahead, grouped, meanwhile


def test_results_come_in_the_order_of_the_items() -> None:
    late = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            late.wait(10)
        else:
            late.set()
        return number * number

    assert [(item, done.result()) for item, done in ahead(work, range(5), threads=2)] == [
        (0, 0), (1, 1), (2, 4), (3, 9), (4, 16)
    ]  # fmt: skip


def test_no_more_is_taken_than_there_are_threads_beside_what_is_in_hand() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    for item, _ in ahead(str, items(), threads=2):
        assert len(taken) <= item + 3
    assert len(taken) == 20


def test_what_fails_is_told_in_its_turn_and_stops_no_other() -> None:
    outcomes = dict(ahead(lambda number: 6 // number, [3, 0, 2], threads=2))
    assert (outcomes[3].result(), outcomes[2].result()) == (2, 3)
    with pytest.raises(ZeroDivisionError):
        outcomes[0].result()


def test_closing_waits_for_what_has_begun_and_begins_nothing_more() -> None:
    begun: list[int] = []
    ended: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        ended.append(number)

    with closing(ahead(work, range(100), threads=2)) as coming:
        next(coming)
    assert sorted(begun) == sorted(ended)
    assert len(begun) <= 3
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_nothing_to_do_is_done_at_once() -> None:
    assert list(ahead(str, [], threads=2)) == []


@pytest.mark.parametrize(
    ("weights", "groups"),
    [
        ([], []),
        ([1, 1, 1, 1], [[1, 1, 1], [1]]),
        ([5, 4, 2, 9, 20, 1], [[5, 4], [2], [9], [20], [1]]),
        ([0, 0, 10, 0], [[0, 0, 10], [0]]),
    ],
)
def test_groups_keep_the_order_and_both_bounds(weights: list[int], groups: list[list[int]]) -> None:
    assert list(grouped(weights, weight=lambda one: one, most_items=3, most_weight=10)) == groups


def test_meanwhile_works_in_another_thread_and_gives_the_result() -> None:
    begun = threading.Event()

    def work() -> int:
        begun.set()
        return threading.get_ident()

    with meanwhile(work) as result:
        begun.wait()
        assert result() != threading.get_ident()


def test_meanwhile_does_the_work_itself_where_no_thread_is_free() -> None:
    release = threading.Event()
    with ExitStack() as stack:
        for _ in range(os.cpu_count() or 1):
            stack.enter_context(meanwhile(release.wait))
        stack.callback(release.set)  # comes first
        with meanwhile(threading.get_ident) as result:
            assert result() == threading.get_ident()


def test_meanwhile_has_ended_with_its_block_however_that_ends() -> None:
    begun, ended = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        time.sleep(0.05)
        ended.set()

    def fail_meanwhile() -> None:
        with meanwhile(work):
            begun.wait()
            raise LookupError

    with pytest.raises(LookupError):
        fail_meanwhile()
    assert ended.is_set()


def test_meanwhile_raises_what_the_work_raised() -> None:
    def fail() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"), meanwhile(fail) as result:
        result()
