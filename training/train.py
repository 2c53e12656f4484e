"""Training: a recipe, a seed and digits -> a run folder with weights, history and all that is needed to repeat it.

The loop feeds batch after batch to Keras's `train_on_batch`, so a source of batches is any function from digits,
recipe, random generator and progress to an iterator of uint8 images `[N, 28, 28]` and labels `[N]` (10: no digit). After
each epoch the whole state goes into a checkpoint; random numbers depend on seed and epoch alone, so an interrupted
training ends with the same weights as one that ran through.
"""

import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.architectures import build
from training.curriculum import taught
from training.data import Dataset, Digits
from training.errors import RecipeError, RunError
from training.recipe import Recipe
from training.runs import Run

Batch = tuple[NDArray[np.uint8], NDArray[np.uint8]]
# From digits, recipe, random generator and progress, the share of the training that is done.
BatchSource = Callable[[Digits, Recipe, np.random.Generator, float], Iterator[Batch]]

EVALUATION_BATCH = 500


def shuffled(digits: Digits, recipe: Recipe, rng: np.random.Generator, _progress: float) -> Iterator[Batch]:
    """Every digit once, in random order, as it is."""
    order = rng.permutation(len(digits))
    for start in range(0, len(order), recipe.batch_size):
        index = order[start : start + recipe.batch_size]
        yield digits.images[index], digits.labels[index]


# One call makes the batches of one epoch, `steps_per_epoch` of them.
BATCHES: dict[str, BatchSource] = {"shuffled": shuffled, "taught": taught}


def train_run(root: Path, dataset: Dataset, recipe: Recipe, seed: int, *, h5: bool = False) -> Run:
    """Train a new run in `root`.

    Raises:
        RecipeError: the recipe cannot be followed.
        RunError: a file of the run cannot be written.
    """
    _find_batches(recipe)
    run = Run.create(root, recipe, seed, {"hashes": dict(dataset.hashes), "split": dict(dataset.split)})
    return _train(run, dataset, h5=h5)


def resume_run(folder: Path, dataset: Dataset, *, h5: bool = False) -> Run:
    """Go on with an interrupted run from its last finished epoch.

    Raises:
        RunError: it is no run, it is finished already, or it was started on other data.
    """
    run = Run.open(folder)
    if run.has("training"):
        raise RunError(f"the run {folder} is finished; there is nothing to resume")
    if run.read("config")["data"]["hashes"] != dict(dataset.hashes):
        raise RunError(f"the run {folder} was started on other data files than these")
    return _train(run, dataset, h5=h5)


def steps_per_epoch(digits: Digits, recipe: Recipe) -> int:
    return -(-len(digits) // recipe.batch_size)


def to_input(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Images uint8 `[N, 28, 28]` as a network takes them in training: float32 `[N, 28, 28, 1]` in 0..1."""
    return images[..., np.newaxis].astype(np.float32) / np.float32(255)


def predict_logits(model: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits float32 `[N, classes]` of uint8 images `[N, 28, 28]`."""
    starts = range(0, len(images), EVALUATION_BATCH)
    pieces = [model.predict_on_batch(to_input(images[start : start + EVALUATION_BATCH])) for start in starts]
    return np.concatenate([np.asarray(piece, dtype=np.float32) for piece in pieces])


def _train(run: Run, dataset: Dataset, *, h5: bool) -> Run:
    from training.backend import seed_everything

    recipe, started = run.recipe, time.perf_counter()
    seed_everything(run.seed)
    trainer = Trainer(recipe, run.seed, dataset)
    if run.checkpoint_path.exists():
        trainer.restore(run.checkpoint_path)
    while trainer.epoch < recipe.epochs:
        trainer.train_epoch()
        trainer.save(run.checkpoint_path)
        run.write("history", {"epochs": trainer.history})
    model = trainer.averaged_model()
    _save_model(model, run.model_path)
    if h5:
        _save_model(model, run.folder / "model.h5")
    run.write("training", _result(trainer, model, time.perf_counter() - started))
    run.checkpoint_path.unlink()
    return run


class Trainer:
    """A network on its way: weights, optimizer, averaged weights, history."""

    def __init__(self, recipe: Recipe, seed: int, dataset: Dataset) -> None:
        self.recipe, self.seed = recipe, seed
        self.digits, self.validation = dataset.train, dataset.validation
        self.batches = _find_batches(recipe)
        self.history: list[dict[str, float]] = []
        self.model = build(recipe)
        self.model.compile(
            optimizer=_optimizer(recipe, recipe.epochs * steps_per_epoch(self.digits, recipe)),
            loss=_loss(recipe),
            metrics=["accuracy"],
        )
        self.model.optimizer.build(self.model.trainable_variables)
        self.average: list[NDArray[np.float32]] = self.model.get_weights() if recipe.ema else []

    @property
    def epoch(self) -> int:
        """Number of epochs done."""
        return len(self.history)

    def train_epoch(self) -> None:
        from tqdm import tqdm

        started = time.perf_counter()
        rng = np.random.default_rng([self.seed, self.epoch])
        steps = steps_per_epoch(self.digits, self.recipe)
        title = f"epoch {self.epoch + 1}/{self.recipe.epochs}"
        totals = {"loss": 0.0, "accuracy": 0.0}
        seen = 0
        batches = self.batches(self.digits, self.recipe, rng, self.epoch / self.recipe.epochs)
        with tqdm(batches, total=steps, desc=title, disable=None) as bar:
            for images, labels in bar:
                seen += len(labels)
                for name, value in self._step(images, labels).items():
                    totals[name] += float(value) * len(labels)
                bar.set_postfix({name: f"{total / seen:.4f}" for name, total in totals.items()}, refresh=False)
        entry = {name: total / seen for name, total in totals.items()} | self._validate()
        entry["seconds"] = round(time.perf_counter() - started, 2)
        self.history.append(entry)
        print(f"{title}: " + ", ".join(f"{name} {value:.4f}" for name, value in entry.items()), flush=True)

    def averaged_model(self) -> Any:
        """The network as it will be used: without optimizer, with the averaged weights where there are any."""
        model = build(self.recipe)
        model.set_weights(self.average or self.model.get_weights())
        return model

    def save(self, path: Path) -> None:
        """Write the whole state, at once or not at all.

        Raises:
            RunError: the disk is full or not writable; the previous checkpoint is kept.
        """
        part = path.with_name(path.name + ".part")
        arrays: dict[str, Any] = {f"state{i:04}": np.asarray(variable) for i, variable in enumerate(self._variables())}
        arrays |= {f"average{i:04}": weights for i, weights in enumerate(self.average)}
        try:
            with part.open("wb") as file:
                np.savez(file, allow_pickle=False, history=np.array(json.dumps(self.history)), **arrays)
            part.replace(path)
        except OSError as exc:
            part.unlink(missing_ok=True)
            raise RunError(f"the checkpoint {path} cannot be written: {exc.strerror or exc}") from exc

    def restore(self, path: Path) -> None:
        """Take up the state of a checkpoint.

        Raises:
            RunError: the checkpoint is broken or of another network.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                self.history = json.loads(str(arrays["history"]))
                for i, variable in enumerate(self._variables()):
                    variable.assign(arrays[f"state{i:04}"])
                self.average = [arrays[f"average{i:04}"] for i in range(len(self.average))]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as exc:
            raise RunError(f"the checkpoint {path} is broken or of another network; remove it to start over") from exc

    def _step(self, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Mapping[str, float]:
        logs: Mapping[str, float] = self.model.train_on_batch(
            to_input(images), _targets(labels, self.recipe), return_dict=True
        )
        if self.recipe.ema:
            # Young averages follow faster, or the random start would stay in them for a thousand steps.
            step = float(self.model.optimizer.iterations)
            decay = min(self.recipe.ema, (1 + step) / (10 + step))
            for average, weights in zip(self.average, self.model.get_weights(), strict=True):
                np.add(decay * average, (1 - decay) * weights, out=average)
        return logs

    def _validate(self) -> dict[str, float]:
        model = self.averaged_model() if self.recipe.ema else self.model
        logits = predict_logits(model, self.validation.images)[:, :10].astype(np.float64)
        rows = np.arange(len(logits))
        log_sum = np.logaddexp.reduce(logits, axis=1)
        return {
            "validation_loss": float(np.mean(log_sum - logits[rows, self.validation.labels])),
            "validation_accuracy": float(np.mean(logits.argmax(axis=1) == self.validation.labels)),
        }

    def _variables(self) -> list[Any]:
        # model.variables holds the states of the dropout generators too, which model.weights leaves out.
        return [*self.model.variables, *self.model.optimizer.variables]


def _find_batches(recipe: Recipe) -> BatchSource:
    if recipe.batches not in BATCHES:
        raise RecipeError(f"unknown source of batches {recipe.batches!r}; known: {', '.join(BATCHES)}")
    return BATCHES[recipe.batches]


def _targets(labels: NDArray[np.uint8], recipe: Recipe) -> NDArray[Any]:
    if recipe.loss == "sparse_categorical_crossentropy":
        return labels.astype(np.int32)
    return np.eye(recipe.classes, dtype=np.float32)[labels]


def _loss(recipe: Recipe) -> Any:
    from training.backend import keras

    if recipe.loss == "sparse_categorical_crossentropy":
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)


def _optimizer(recipe: Recipe, steps: int) -> Any:
    from training.backend import keras

    kinds = {
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "rmsprop": keras.optimizers.RMSprop,
        "sgd": keras.optimizers.SGD,
    }
    optimizer = kinds[recipe.optimizer](_learning_rate(recipe, steps), weight_decay=recipe.weight_decay or None)
    if recipe.weight_decay:
        # Decay is for kernels; scales and shifts of a normalisation have nothing to lose by growing.
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


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


def _result(trainer: Trainer, model: Any, seconds: float) -> dict[str, Any]:
    return {
        "parameters": int(model.count_params()),
        "epochs": trainer.epoch,
        "seconds": round(seconds, 1),
        "validation": {
            "n": len(trainer.validation),
            "accuracy": trainer.history[-1]["validation_accuracy"],
            "loss": trainer.history[-1]["validation_loss"],
        },
    }


def _save_model(model: Any, path: Path) -> None:
    part = path.with_name(f"part-{path.name}")
    try:
        model.save(part)
        part.replace(path)
    except OSError as exc:
        raise RunError(f"{path} cannot be written: {exc.strerror or exc}") from exc
