"""Ensembles: several trained networks whose logits are averaged, as one network and so as one exported graph.

The mean of the members' last layers is itself one dense layer over all their features side by side, so an ensemble
is calibrated, exported, evaluated and released like any other run.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from training.architectures import INPUT_SHAPE
from training.data import Dataset, Digits
from training.errors import RunError
from training.evaluate import negative_log_likelihood
from training.graphs import inline_features
from training.network import apply_temperature, load_keras_model, predict_logits, save_model
from training.runs import Run

ARCHITECTURE = "ensemble"


def ensemble_runs(members: Sequence[Path], root: Path, dataset: Dataset) -> Run:
    """Make a run out of finished runs.

    Args:
        members: run folders, at least two, of equally many classes.
        root: where the new run folder goes.
        dataset: the one that the members were trained on; its validation part is measured.

    Raises:
        RunError: a member is missing or unfinished, was trained on other data, or has other classes.
    """
    if len(members) < 2:
        raise RunError("an ensemble needs at least two runs")
    runs = [Run.open(folder) for folder in members]
    require_same_data(runs, dataset)
    model = average_networks([load_keras_model(run.model_path) for run in runs])
    recipe = replace(runs[0].recipe, architecture=ARCHITECTURE, members=tuple(run.id for run in runs))
    others: dict[str, Any] = {"initial": runs[0].origin.get("initial"), "members": [each.origin for each in runs]}
    run = Run.create(root, recipe, runs[0].seed, dataset.origin, others)
    save_model(model, run.model_path)
    run.write("history", {"epochs": []})
    run.write("training", outcome(model, runs, dataset.validation))
    return run


def require_same_data(runs: Sequence[Run], dataset: Dataset) -> None:
    """Raise RunError where a run was trained on other data files than those of the dataset."""
    for run in runs:
        if run.read("config")["data"]["hashes"] != dict(dataset.hashes):
            raise RunError(f"the run {run.folder} was trained on other data files than these")


def average_networks(models: Sequence[Any]) -> Any:
    """One Keras network whose logits are the mean of those of all given ones.

    Raises:
        RunError: they have different numbers of classes, or one does not end in a dense layer.
    """
    from training.backend import keras

    if len({model.output_shape[-1] for model in models}) > 1:
        raise RunError("the members of an ensemble must have equally many classes")
    if not all(isinstance(model.layers[-1], keras.layers.Dense) for model in models):
        raise RunError("the members of an ensemble must end in a dense layer")
    image = keras.Input(INPUT_SHAPE)
    features = [inline_features(model, image, f"member{i}_") for i, model in enumerate(models)]
    mean = keras.layers.Dense(models[0].output_shape[-1], name="mean")
    model = keras.Model(image, mean(keras.layers.Concatenate()(features)), name=ARCHITECTURE)
    heads = [each.layers[-1].get_weights() for each in models]
    mean.set_weights(
        [np.concatenate([kernel for kernel, _ in heads]) / len(heads), np.mean([bias for _, bias in heads], axis=0)]
    )
    return model


def outcome(model: Any, runs: Sequence[Run], validation: Digits) -> dict[str, Any]:
    """What a network that was made of runs came to, as a training tells it."""
    probabilities, _ = apply_temperature(predict_logits(model, validation.images), 1.0)
    trained = [run.read("training") for run in runs]
    return {
        "parameters": int(model.count_params()),
        "epochs": sum(entry["epochs"] for entry in trained),
        "seconds": sum(entry["seconds"] for entry in trained),
        "validation": {
            "n": len(validation),
            "accuracy": float((probabilities.argmax(axis=1) == validation.labels).mean()),
            "loss": negative_log_likelihood(probabilities, validation.labels),
        },
    }
