"""Time that exported graphs take, measured as the service runs them: one thread, no spinning.

Graphs that are compared are measured in turns, round by round, so that whatever else the machine does slows all of
them alike; of all rounds the median counts.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from training.evaluate import load_classifier

ROUNDS = 200
SIZES = (1, 16)

Key = TypeVar("Key")


def measure_latency(
    graphs: Mapping[str, Path], images: NDArray[np.uint8], rounds: int = ROUNDS, sizes: Sequence[int] = SIZES
) -> dict[str, dict[str, float]]:
    """Microseconds per image of each graph, for each size of batch: `{name: {"1": ..., "16": ...}}`.

    A service runs one graph again and again, so each is called once more before it is timed: else the time would be that of
    fetching its weights, which the graphs in between pushed out of the processor's caches.

    Raises:
        RunError: a file is missing, or not what the contract describes.
    """
    classifiers = {name: load_classifier(path) for name, path in graphs.items()}
    asks = {
        (name, size): _asker(classifier.predict, images[:size])
        for name, classifier in classifiers.items()
        for size in sizes
    }
    medians = measure_in_turns(asks, rounds, warm_up=1)
    return {
        name: {str(size): round(medians[name, size] / min(size, len(images)) * 1e6, 1) for size in sizes}
        for name in graphs
    }


def measure_in_turns(
    calls: Mapping[Key, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    warm_up: int = 0,
) -> dict[Key, float]:
    """Median seconds of each call by a clock, all of them once a round, right after `warm_up` calls that do not count."""
    for call in calls.values():
        call()
    seconds: dict[Key, list[float]] = {key: [] for key in calls}
    for _ in range(rounds):
        for key, call in calls.items():
            for _ in range(warm_up):
                call()
            started = clock()
            call()
            seconds[key].append(clock() - started)
    return {key: float(np.median(values)) for key, values in seconds.items()}


def _asker(predict: Callable[[NDArray[np.uint8]], object], images: NDArray[np.uint8]) -> Callable[[], object]:
    return lambda: predict(images)
