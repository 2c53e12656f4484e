"""Weights averaged: a run that started from another network, half way back to it, as one run.

A network that was trained on lies in the same valley as where it started, so the mean of both is a network too, which
keeps what the one knew and has much of what the other learned (M. Wortsman et al., "Robust Fine-Tuning of Zero-Shot
Models", 2022); `lessons` measures which reads best. It costs as much as one. Networks that began apart cannot be averaged so.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from training.data import Dataset
from training.ensemble import outcome, require_same_data
from training.errors import RunError
from training.network import load_keras_model, save_model
from training.runs import Run
from training.starting import load_initial


def average_with_start(folder: Path, root: Path, dataset: Dataset) -> Run:
    """Make a run in `root` whose weights are the mean of those of a finished run and of the network it started from.

    Raises:
        RunError: the run is missing, unfinished or trained on other data, or it started from no other network, or from one
            that is gone or of other classes.
    """
    run = Run.open(folder)
    require_same_data([run], dataset)
    recipe = run.recipe
    if not recipe.init_from:
        raise RunError(f"the run {folder} started from no other network; there is nothing to average it with")
    model = load_keras_model(run.model_path)
    average_weights(model, load_initial(Path(recipe.init_from)), recipe.init_from)
    made_of = {"members": [run.origin]}
    averaged = Run.create(root, replace(recipe, members=(run.id,)), run.seed, dataset.origin, made_of)
    save_model(model, averaged.model_path)
    averaged.write("history", run.read("history"))
    averaged.write("training", outcome(model, [run], dataset.validation))
    return averaged


def average_weights(model: Any, start: Any, name: str) -> None:
    """Give a network the mean of its own weights and another's.

    Raises:
        RunError: the other one, told by its name, has weights of other shapes.
    """
    weights = model.get_weights(), start.get_weights()
    if [each.shape for each in weights[0]] != [each.shape for each in weights[1]]:
        raise RunError(f"the network of {name} has other weights than the run that started from it")
    model.set_weights([(mine + theirs) / 2 for mine, theirs in zip(*weights, strict=True)])
