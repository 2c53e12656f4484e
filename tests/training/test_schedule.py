from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.data import Dataset
from training.network import predict_logits
from training.objective import best_epoch, is_stopped_early, plateau_rate
from training.recipe import Recipe
from training.train import Trainer, train_run

RECIPE = Recipe("cnn_225k", epochs=12, batch_size=50)


def accuracies(*values: float) -> list[dict[str, float]]:
    return [{"validation_accuracy": value} for value in values]


def losses(*values: float) -> list[dict[str, float]]:
    return [{"validation_loss": value} for value in values]


def test_the_rate_is_halved_after_each_plateau_and_never_below_its_floor() -> None:
    recipe = replace(RECIPE, plateau=2, learning_rate=1e-3, plateau_floor=3e-4)
    assert plateau_rate(recipe, accuracies(0.9, 0.95, 0.95)) == 1e-3
    assert plateau_rate(recipe, accuracies(0.9, 0.95, 0.95, 0.94)) == 5e-4
    assert plateau_rate(recipe, accuracies(0.9, 0.95, 0.95, 0.94, 0.96, 0.96, 0.96)) == 3e-4


def test_it_is_the_rate_that_keras_would_have_set() -> None:
    from training.backend import keras

    values = np.random.default_rng(0).uniform(0.9, 0.91, 30).tolist()
    recipe = replace(RECIPE, plateau=3)
    callback = keras.callbacks.ReduceLROnPlateau("validation_accuracy", 0.5, 3, mode="max", min_lr=1e-5)
    callback.set_model(Trainer(RECIPE, 0, _two_digits()).model)
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        callback.on_epoch_end(epoch, {"validation_accuracy": value})
        ours = plateau_rate(recipe, accuracies(*values[: epoch + 1]))
        assert ours == pytest.approx(float(np.asarray(callback.model.optimizer.learning_rate)), rel=1e-5)


def _two_digits() -> Dataset:
    from tests.training.digits import tiny_dataset

    return tiny_dataset(20, 10, 10)


def test_training_stops_when_the_loss_has_not_fallen_for_long_enough() -> None:
    recipe = replace(RECIPE, early_stopping=2)
    assert not is_stopped_early(recipe, [])
    assert not is_stopped_early(recipe, losses(3, 2, 2.5))
    assert is_stopped_early(recipe, losses(3, 2, 2.5, 2))
    assert not is_stopped_early(RECIPE, losses(1, 2, 3, 4, 5))
    assert best_epoch(losses(3, 2, 2.5, 2)) == 1


def test_a_run_that_stops_early_keeps_its_best_epoch(dataset: Dataset, tmp_path: Path) -> None:
    from training.network import load_keras_model

    # So fast that it diverges soon.
    recipe = replace(RECIPE, early_stopping=1, optimizer="rmsprop", learning_rate=0.01, epochs=30)
    run = train_run(tmp_path, dataset, recipe, seed=0)
    epochs = run.read("history")["epochs"]
    assert len(epochs) < 30
    best = epochs[best_epoch(epochs)]
    logits = predict_logits(load_keras_model(run.model_path), dataset.validation.images)
    assert np.mean(logits.argmax(axis=1) == dataset.validation.labels) == best["validation_accuracy"]
    assert run.read("training")["validation"]["loss"] == best["validation_loss"]


def test_the_history_lies_beside_as_tensorboard_reads_it(dataset: Dataset, tmp_path: Path) -> None:
    import tensorflow as tf

    run = train_run(tmp_path, dataset, replace(RECIPE, epochs=2, plateau=1), seed=0)
    [path] = run.events_path.iterdir()
    assert path.name.startswith("events.out.tfevents")
    found: dict[tuple[str, int], float] = {}
    for raw in tf.data.TFRecordDataset(str(path)):
        event = tf.compat.v1.Event.FromString(raw.numpy())
        for value in event.summary.value:
            assert value.metadata.plugin_data.plugin_name in ("scalars", "")
            found[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    for number, epoch in enumerate(run.read("history")["epochs"], start=1):
        assert found["validation_accuracy", number] == pytest.approx(epoch["validation_accuracy"])
        assert found["learning_rate", number] == pytest.approx(epoch["learning_rate"])
