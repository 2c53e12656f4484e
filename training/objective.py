"""What training minimises, and how: loss, targets, optimizer, learning rate. Keras operations only.

With teachers, the student also learns how sure they were of each class: cross-entropy with the label and, at a higher
temperature, with the teachers' softened answer, weighted (G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in
a Neural Network", 2015). Both targets and the weight of the second travel side by side in one array
`[N, 2 * classes + 1]`.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.recipe import Recipe

# What Keras's ReduceLROnPlateau takes for no improvement.
PLATEAU_DELTA = 1e-4


class Hints(NamedTuple):
    """What teachers answer, logits float32 `[N, classes]`, and about which pictures they were asked, bool `[N]`."""

    logits: NDArray[np.float32]
    asked: NDArray[np.bool_]


def targets(labels: NDArray[np.uint8], hints: Hints | None, recipe: Recipe) -> NDArray[Any]:
    """What `loss` expects: labels `[N]`, one-hot rows, or one-hot rows beside the teachers' logits and their weights."""
    if recipe.loss == "sparse_categorical_crossentropy":
        return labels.astype(np.int32)
    one_hot = np.eye(recipe.classes, dtype=np.float32)[labels]
    if hints is None:
        return one_hot
    weights = recipe.teacher_weight * hints.asked.astype(np.float32)
    return np.concatenate([one_hot, hints.logits, weights[:, None]], axis=1)


def loss(recipe: Recipe) -> Any:
    """Keras loss from `targets` and logits."""
    from training.backend import keras

    if recipe.loss == "sparse_categorical_crossentropy":
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    cross_entropy = partial(keras.losses.CategoricalCrossentropy, from_logits=True)
    if not recipe.teachers:
        return cross_entropy(label_smoothing=recipe.label_smoothing)
    # Of each picture, since each may have another weight.
    by_label = cross_entropy(label_smoothing=recipe.label_smoothing, reduction=None)
    by_teacher = cross_entropy(reduction=None)
    classes, temperature = recipe.classes, recipe.teacher_temperature

    def distillation(expected: Any, logits: Any) -> Any:
        one_hot, teacher, weight = keras.ops.split(expected, [classes, 2 * classes], axis=1)
        softened = keras.ops.softmax(teacher / temperature)
        # Gradients of the softened part shrink with the square of the temperature.
        hint = by_teacher(softened, logits / temperature) * temperature**2
        weight = keras.ops.squeeze(weight, axis=1)
        return keras.ops.mean((1 - weight) * by_label(one_hot, logits) + weight * hint)

    return distillation


def accuracy(recipe: Recipe) -> Any:
    """Keras metric from `targets` and logits: the share of right answers."""
    from training.backend import keras

    def accuracy(expected: Any, logits: Any) -> Any:
        labels = expected
        if recipe.loss == "categorical_crossentropy":
            labels = keras.ops.argmax(expected[:, : recipe.classes], axis=1)
        hits = keras.ops.equal(
            keras.ops.cast(labels, "int32"), keras.ops.cast(keras.ops.argmax(logits, axis=1), "int32")
        )
        return keras.ops.cast(hits, "float32")

    return accuracy


def optimizer(recipe: Recipe, steps: int) -> Any:
    """Keras optimizer for a training of so many steps; no decay pulls at biases and BatchNorm's scales."""
    from training.backend import keras

    kinds = {
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "rmsprop": keras.optimizers.RMSprop,
        "sgd": keras.optimizers.SGD,
    }
    options: dict[str, Any] = {"momentum": recipe.momentum} if recipe.momentum else {}
    if recipe.weight_decay:
        options["weight_decay"] = recipe.weight_decay
    elif recipe.optimizer == "adamw":
        options["weight_decay"] = 0.0  # its own default is another
    chosen = kinds[recipe.optimizer](_learning_rate(recipe, steps), **options)
    if recipe.weight_decay:
        chosen.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return chosen


def plateau_rate(recipe: Recipe, history: Sequence[Mapping[str, float]]) -> float:
    """The learning rate after these epochs, as Keras's ReduceLROnPlateau would have it on validation accuracy.

    It follows from the history alone, so a resumed training has nothing to remember.
    """
    rate, best, waited = recipe.learning_rate, float("-inf"), 0
    for epoch in history:
        if epoch["validation_accuracy"] > best + PLATEAU_DELTA:
            best, waited = epoch["validation_accuracy"], 0
            continue
        waited += 1
        if waited >= recipe.plateau:
            rate, waited = max(rate * recipe.plateau_factor, recipe.plateau_floor), 0
    return rate


def best_epoch(history: Sequence[Mapping[str, float]]) -> int:
    """Index of the epoch with the lowest validation loss, the first of equals."""
    losses = [epoch["validation_loss"] for epoch in history]
    return losses.index(min(losses))


def is_stopped_early(recipe: Recipe, history: Sequence[Mapping[str, float]]) -> bool:
    """Whether the validation loss has not fallen for as many epochs as the recipe waits."""
    if not recipe.early_stopping or not history:
        return False
    return len(history) - 1 - best_epoch(history) >= recipe.early_stopping


def _learning_rate(recipe: Recipe, steps: int) -> Any:
    from training.backend import keras

    if recipe.schedule == "constant":
        return recipe.learning_rate
    warmup = round(recipe.warmup * steps)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=recipe.learning_rate / 100 if warmup else recipe.learning_rate,
        decay_steps=max(1, steps - warmup),
        alpha=0.01,
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
