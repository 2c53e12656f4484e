"""Portions in order, and small work that is not done side by side."""

import threading
import time
from collections.abc import Sequence

import pytest

from service.parallel import in_order, taking_turns


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_order_wherever_they_were_made(threads: int) -> None:
    here = threading.current_thread()
    seen: dict[int, bool] = {}

    def work(portion: Sequence[int]) -> Sequence[int]:
        seen.update(dict.fromkeys(portion, threading.current_thread() is here))
        return [10 * item for item in portion]

    portions = [[1, 2], [3], [4, 5], [6]]
    results = list(in_order(work, portions, threads, apart=lambda portion: len(portion) == 1))
    assert results == [10, 20, 30, 40, 50, 60]
    assert seen == {1: True, 2: True, 3: False, 4: True, 5: True, 6: False}


def test_one_thread_at_a_time_has_the_small_items() -> None:
    turn = threading.Lock()
    at_work: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in taking_turns(range(40), lambda _: False, turn):
            at_work.append(1)
            most.append(len(at_work))
            time.sleep(0.0005)
            at_work.pop()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert max(most) == 1
    assert len(most) == 120


def test_the_turn_is_given_back_when_the_items_are_left_early() -> None:
    turn = threading.Lock()
    items = taking_turns(range(40), lambda _: False, turn)
    next(items)
    assert turn.locked()
    items.close()
    assert not turn.locked()


def test_what_is_worked_on_apart_needs_no_turn() -> None:
    turn = threading.Lock()
    with turn:
        assert list(taking_turns(range(5), lambda _: True, turn)) == list(range(5))
