"""An interruption from the keyboard is neither lost nor taken in the middle of a step."""

import os
import signal
import threading

import pytest

from training.interrupt import held_back


@pytest.fixture(autouse=True)
def interruptible():
    """A shell has what it runs in the background ignore interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def step(done: list[str]) -> None:
    with held_back() as raise_if_interrupted:
        raise_if_interrupted()
        interrupt()
        done.append("step")
        raise_if_interrupted()
        done.append("next step")


def interrupt_twice() -> None:
    with held_back():
        interrupt()
        interrupt()
        pytest.fail("it waited")


def test_an_interrupt_waits_for_the_end_of_the_step() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        step(done)
    assert done == ["step"]


def test_a_second_interrupt_does_not_wait() -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupt_twice()


def test_afterwards_interrupts_take_their_usual_way() -> None:
    with held_back():
        pass
    with pytest.raises(KeyboardInterrupt):
        interrupt()


def test_a_thread_besides_the_main_one_trains_without_signals() -> None:
    called = []

    def train() -> None:
        with held_back() as raise_if_interrupted:
            raise_if_interrupted()
            called.append(True)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert called
