"""Training: a recipe, a seed and digits -> a run folder with weights, history and all that is needed to repeat it.

The loop feeds batch after batch to Keras's `train_on_batch`, so a source of batches is any function from digits,
recipe, random generator and progress to an iterator of uint8 images `[N, 28, 28]` and labels `[N]` (10: no digit).
After each epoch the whole state goes into a checkpoint; random numbers depend on seed and epoch alone, so an
interrupted training ends with the same weights as one that ran through.
"""

import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import objective
from training.architectures import build
from training.arithmetic import as_trained
from training.batches import Batch, BatchSource
from training.curriculum import SOURCES
from training.data import Dataset, Digits, hold_out
from training.errors import RecipeError, RunError
from training.events import EventLog
from training.interrupt import held_back
from training.moves import moved
from training.network import predict_logits, save_model, to_input
from training.objective import Hints
from training.recipe import Recipe
from training.runs import Run
from training.starting import load_initial, origin_of
from training.teachers import load_teachers, mean_logits

# Weights are averaged every so many steps: taking them out of TensorFlow costs as much as a tenth of a step.
EMA_STRIDE = 8


def shuffled(digits: Digits, recipe: Recipe, rng: np.random.Generator, _progress: float = 0.0) -> Iterator[Batch]:
    """Every digit once, in random order, as it is."""
    order = rng.permutation(len(digits))
    for start in range(0, len(order), recipe.batch_size):
        index = order[start : start + recipe.batch_size]
        yield Batch.of(digits.images[index], digits.labels[index])


# Each makes `steps_per_epoch` batches.
BATCHES: dict[str, BatchSource] = {"shuffled": shuffled, "moved": moved, **SOURCES}


def train_run(root: Path, dataset: Dataset, recipe: Recipe, seed: int, *, h5: bool = False) -> Run:
    """Train a new run in `root`.

    Raises:
        RecipeError: the recipe cannot be followed.
        RunError: a file of the run cannot be written, or what it starts from cannot be read.
    """
    _find_batches(recipe)
    initial = origin_of(Path(recipe.init_from)) if recipe.init_from else None
    dataset = hold_out(dataset, recipe.validation_share)
    teachers = [Run.open(Path(teacher)).origin for teacher in recipe.teachers]
    run = Run.create(root, recipe, seed, dataset.origin, {"initial": initial, "teachers": teachers})
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
    return _train(run, hold_out(dataset, run.recipe.validation_share), h5=h5)


def steps_per_epoch(digits: Digits, recipe: Recipe) -> int:
    return -(-len(digits) // recipe.batch_size)


def _train(run: Run, dataset: Dataset, *, h5: bool) -> Run:
    from training.backend import seed_everything

    recipe, started = run.recipe, time.perf_counter()
    seed_everything(run.seed)
    trainer = Trainer(recipe, run.seed, dataset)
    if run.checkpoint_path.exists():
        trainer.restore(run.checkpoint_path)
    print(f"{run.folder}: {recipe.architecture}, {trainer.model.count_params():,} parameters", flush=True)
    with EventLog(run.events_path) as events, held_back() as raise_if_interrupted:
        while not trainer.is_done:
            entry = trainer.train_epoch(raise_if_interrupted)
            trainer.save(run.checkpoint_path)
            run.write("history", {"epochs": trainer.history})
            events.write(trainer.epoch, entry)
    # Once more: a kill may have come between the last checkpoint and its history.
    run.write("history", {"epochs": trainer.history})
    model = trainer.final_model()
    save_model(model, run.model_path)
    if h5:
        save_model(model, run.folder / "model.h5")
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
        model = build(recipe)
        if recipe.init_from:
            _take_weights(model, Path(recipe.init_from))
        self.model = as_trained(model, recipe.precision)
        self.model.compile(
            optimizer=objective.optimizer(recipe, recipe.epochs * steps_per_epoch(self.digits, recipe)),
            loss=objective.loss(recipe),
            metrics=[objective.accuracy(recipe)],
        )
        self.model.optimizer.build(self.model.trainable_variables)
        self.teachers = load_teachers(recipe)
        # Short epochs are averaged over as well.
        self.stride = min(EMA_STRIDE, steps_per_epoch(self.digits, recipe))
        self.average: list[NDArray[np.float32]] = self.model.get_weights() if recipe.ema else []
        self.best: list[NDArray[np.float32]] = self.model.get_weights() if recipe.early_stopping else []
        self._plain = build(recipe)

    @property
    def epoch(self) -> int:
        """Number of epochs done."""
        return len(self.history)

    @property
    def is_done(self) -> bool:
        return self.epoch >= self.recipe.epochs or objective.is_stopped_early(self.recipe, self.history)

    def train_epoch(self, after_step: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Train on every batch of one epoch and measure on validation digits; returns the epoch's history.

        `after_step` is called after every batch, and may end the epoch by an exception.
        """
        from tqdm import tqdm

        started = time.perf_counter()
        if self.recipe.plateau:
            self.model.optimizer.learning_rate = objective.plateau_rate(self.recipe, self.history)
        rng = np.random.default_rng([self.seed, self.epoch])
        batches = self.batches(self.digits, self.recipe, rng, self.epoch / self.recipe.epochs)
        steps = steps_per_epoch(self.digits, self.recipe)
        title = f"epoch {self.epoch + 1}/{self.recipe.epochs}"
        totals = {"loss": 0.0, "accuracy": 0.0}
        seen = 0
        with tqdm(batches, total=steps, desc=title, disable=None) as bar:
            for batch in bar:
                seen += len(batch.labels)
                for name, value in self._step(batch).items():
                    totals[name] += float(value) * len(batch.labels)
                after_step()
                bar.set_postfix({name: f"{total / seen:.4f}" for name, total in totals.items()}, refresh=False)
        entry = {name: total / seen for name, total in totals.items()} | self._validate()
        if self.recipe.plateau:
            entry["learning_rate"] = float(np.asarray(self.model.optimizer.learning_rate))
        entry["seconds"] = round(time.perf_counter() - started, 2)
        self.history.append(entry)
        if self.best and objective.best_epoch(self.history) == self.epoch - 1:
            self.best = [*(self.average or self.model.get_weights())]
        print(f"{title}: " + ", ".join(f"{name} {value:.4g}" for name, value in entry.items()), flush=True)
        return entry

    def averaged_model(self) -> Any:
        """The network as it is now: without optimizer, with the averaged weights where there are any.

        Each call gives the same object, since compiling it anew takes seconds.
        """
        self._plain.set_weights(self.average or self.model.get_weights())
        return self._plain

    def final_model(self) -> Any:
        """The network as it will be used: that of the best epoch where the recipe stops early, else the last."""
        model = self.averaged_model()
        if self.best:
            model.set_weights(self.best)
        return model

    def save(self, path: Path) -> None:
        """Write the whole state, at once or not at all.

        Raises:
            RunError: the disk is full or not writable; the previous checkpoint is kept.
        """
        part = path.with_name(path.name + ".part")
        arrays: dict[str, Any] = {f"state{i:04}": np.asarray(variable) for i, variable in enumerate(self._variables())}
        arrays |= {f"average{i:04}": weights for i, weights in enumerate(self.average)}
        arrays |= {f"best{i:04}": weights for i, weights in enumerate(self.best)}
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
                self.best = [arrays[f"best{i:04}"] for i in range(len(self.best))]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as exc:
            raise RunError(f"the checkpoint {path} is broken or of another network; remove it to start over") from exc

    def _step(self, batch: Batch) -> Mapping[str, float]:
        hints = self._hints(batch) if self.teachers else None
        expected = objective.targets(batch.labels, hints, self.recipe)
        logs: Mapping[str, float] = self.model.train_on_batch(to_input(batch.images), expected, return_dict=True)
        step = int(self.model.optimizer.iterations)
        if self.recipe.ema and step % self.stride == 0:
            # Young averages follow faster, or the random start would stay in them for a thousand steps.
            turn = step / self.stride
            decay = min(self.recipe.ema**self.stride, (1 + turn) / (10 + turn))
            for average, weights in zip(self.average, self.model.get_weights(), strict=True):
                np.add(decay * average, (1 - decay) * weights, out=average)
        return logs

    def _hints(self, batch: Batch) -> Hints:
        asked = ~batch.given if self.recipe.teacher_pictures == "made" else np.ones(len(batch.given), bool)
        logits = np.zeros((len(asked), self.recipe.classes), np.float32)
        if asked.any():
            logits[asked] = mean_logits(self.teachers, batch.images[asked])
        return Hints(logits, asked)

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


def _take_weights(model: Any, source: Path) -> None:
    """Start from the weights of a run or a released file; the head stays behind where the number of classes differs."""
    former = load_initial(source)
    heads = [tuple(weights.shape) for weights in (former.weights[-2], model.weights[-2])]
    kept = len(model.weights) if heads[0] == heads[1] else len(model.weights) - 2
    pairs = list(zip(model.weights[:kept], former.weights[:kept], strict=False))
    if len(former.weights) != len(model.weights) or any(mine.shape != theirs.shape for mine, theirs in pairs):
        raise RecipeError(f"the network of {source} is of another architecture; its weights do not fit")
    for mine, theirs in pairs:
        mine.assign(theirs)


def _find_batches(recipe: Recipe) -> BatchSource:
    if recipe.batches not in BATCHES:
        raise RecipeError(f"unknown source of batches {recipe.batches!r}; known: {', '.join(BATCHES)}")
    return BATCHES[recipe.batches]


def _result(trainer: Trainer, model: Any, seconds: float) -> dict[str, Any]:
    kept = trainer.history[objective.best_epoch(trainer.history) if trainer.best else -1]
    return {
        "parameters": int(model.count_params()),
        "epochs": trainer.epoch,
        # Of all epochs, also those before an interruption; the rest is this process's own.
        "seconds": round(max(seconds, sum(epoch["seconds"] for epoch in trainer.history)), 1),
        "validation": {
            "n": len(trainer.validation),
            "accuracy": kept["validation_accuracy"],
            "loss": kept["validation_loss"],
        },
    }
