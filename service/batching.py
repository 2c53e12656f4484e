"""Joins digits that wait for the network into one run; never waits to fill it.

A run of 16 costs about half as much per digit as 16 runs of one. Digits that became ready in the same turn of the
event loop are run at its end; one that is alone is run alone.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from service.classifier import MAX_RUN, Predict

# Probabilities, reject, and the seconds of the run.
Answer = tuple[NDArray[np.float32], np.float32, float]


class Batcher:
    """Runs `predict` for digits handed in one at a time; belongs to one event loop."""

    def __init__(self, predict: Predict, observe: Callable[[int], None]) -> None:
        """`observe` is told the size of each run."""
        self._predict = predict
        self._observe = observe
        self._waiting: list[tuple[NDArray[np.uint8], asyncio.Future[Answer]]] = []

    async def predict(self, digit: NDArray[np.uint8]) -> Answer:
        """Probabilities float32 `[10]`, reject, and the seconds of the run of one digit uint8 `[28, 28]`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._run_waiting)
        self._waiting.append((digit, future))
        return await future

    def _run_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        # Who was cancelled meanwhile, by a deadline say, needs no answer.
        waiting = [entry for entry in waiting if not entry[1].done()]
        for start in range(0, len(waiting), MAX_RUN):
            self._run(waiting[start : start + MAX_RUN])

    def _run(self, entries: list[tuple[NDArray[np.uint8], asyncio.Future[Answer]]]) -> None:
        started = perf_counter()
        try:
            probabilities, reject = self._predict(np.stack([digit for digit, _ in entries]))
        except Exception as error:
            self._fail(entries, error)
            return
        seconds = perf_counter() - started
        self._observe(len(entries))
        for index, (_, future) in enumerate(entries):
            future.set_result((probabilities[index], reject[index], seconds))

    def _fail(self, entries: list[tuple[NDArray[np.uint8], asyncio.Future[Answer]]], error: Exception) -> None:
        """One bad digit must not fail its neighbours: run each alone, and let only the bad one have the error."""
        if len(entries) == 1:
            entries[0][1].set_exception(error)
            return
        for entry in entries:
            self._run([entry])
