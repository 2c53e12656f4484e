"""Several trainings side by side: each in a process of its own, on its share of the cores.

Small networks gain little from a second thread: on two cores, two trainings of one thread each do in the same time
one and a half times as much as one training of two threads.
"""

import multiprocessing
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from training.curriculum import SOURCES, make_stock
from training.data import Dataset, hold_out
from training.recipe import Recipe
from training.runs import Run

# What a process was given to train with.
_given: dict[str, Dataset] = {}


def train_side_by_side(
    root: Path, dataset: Dataset, trainings: Sequence[tuple[Recipe, int]], jobs: int, *, h5: bool = False
) -> list[Run]:
    """One run in `root` for each recipe and its seed, in this order, `jobs` at a time.

    Raises:
        RecipeError: a recipe cannot be followed.
        RunError: a file of a run cannot be written, or what it starts from cannot be read.
    """
    # What is drawn beforehand is drawn once, if the processes can share it.
    can_fork = "fork" in multiprocessing.get_all_start_methods() and "tensorflow" not in sys.modules
    if can_fork:
        for share in {recipe.validation_share for recipe, _ in trainings if recipe.batches in SOURCES}:
            make_stock(hold_out(dataset, share).train)
    context = multiprocessing.get_context("fork" if can_fork else "spawn")
    threads = max(1, _cores() // min(jobs, len(trainings)))
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(dataset, threads)) as pool:
        folders = [pool.submit(_train, root, recipe, seed, h5=h5) for recipe, seed in trainings]
        return [Run.open(folder.result()) for folder in folders]


def _begin(dataset: Dataset, threads: int) -> None:
    _given["dataset"] = dataset
    # Read by TensorFlow when it is first imported.
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(threads)


def _train(root: Path, recipe: Recipe, seed: int, *, h5: bool) -> Path:
    from training.train import train_run

    return train_run(root, _given["dataset"], recipe, seed, h5=h5).folder


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
