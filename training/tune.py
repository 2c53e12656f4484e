"""Tuning: which fields of a recipe do best on validation digits. The test digits are not even looked at.

Optuna proposes (J. Bergstra, R. Bardenet, Y. Bengio, B. Kégl, "Algorithms for Hyper-Parameter Optimization", 2011) and
gives up trials whose validation accuracy falls behind the median of the others. Every trial is noted in a journal as
it goes, so a study that was interrupted, or killed, goes on where it was.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from training.data import Dataset
from training.errors import RecipeError, RunError
from training.recipe import Recipe
from training.runs import write_json
from training.train import Trainer

DEFAULT_SPACE = ("learning_rate=1e-4:1e-2", "batch_size=64,128,256", "optimizer=adam,adamw,rmsprop")
TRIALS_BEFORE_PRUNING = 4

# A range that spans this factor is searched by its logarithm.
_LOGARITHMIC = 10.0
_RANGE = re.compile(r"([^:,]+):([^:,]+)")


@dataclass(frozen=True)
class Range:
    """Values of a field of a recipe: from `low` to `high`."""

    low: float
    high: float
    whole: bool

    def suggest(self, trial: Any, field: str) -> Any:
        logarithmic = self.low > 0 and self.high / self.low >= _LOGARITHMIC
        if self.whole:
            return trial.suggest_int(field, int(self.low), int(self.high), log=logarithmic)
        return trial.suggest_float(field, self.low, self.high, log=logarithmic)


@dataclass(frozen=True)
class Choice:
    """Values of a field of a recipe: one of these."""

    values: tuple[Any, ...]

    def suggest(self, trial: Any, field: str) -> Any:
        return trial.suggest_categorical(field, self.values)


Space = Mapping[str, Range | Choice]


def parse_space(recipe: Recipe, texts: Sequence[str]) -> Space:
    """What to search, from texts such as `learning_rate=1e-4:1e-2` or `optimizer=adam,sgd`.

    Raises:
        RecipeError: no such field, or values that the recipe does not take.
    """
    space: dict[str, Range | Choice] = {}
    for text in texts:
        field, _, values = text.partition("=")
        bounds = _RANGE.fullmatch(values)
        parsed = [getattr(recipe.changed([f"{field}={value}"]), field) for value in re.split("[:,]", values)]
        if not bounds:
            space[field] = Choice(tuple(parsed))
        elif isinstance(parsed[0], str) or parsed[0] >= parsed[1]:
            raise RecipeError(f"{text!r} is no range from a lower to a higher number")
        else:
            space[field] = Range(parsed[0], parsed[1], whole=isinstance(parsed[0], int))
    return space


def tune(folder: Path, dataset: Dataset, recipe: Recipe, space: Space, trials: int, seed: int = 0) -> dict[str, Any]:
    """Run or continue a study until it has so many finished trials; write tune.json and return it.

    Args:
        folder: of the study; one that is there goes on.
        dataset: only its training and validation parts are used.
        recipe: what is not searched stays as it is here.
        space: what is searched.
        trials: finished and given up ones together.
        seed: of every training and of the proposals.

    Raises:
        RunError: the folder holds a study of something else, or cannot be written.
    """
    import optuna

    study = _open_study(folder, seed)
    about = {"recipe": recipe.to_json(), "space": repr(dict(space)), "seed": seed, "hashes": dict(dataset.hashes)}
    _check_same(study, folder, about)
    _ask_lost_trials_again(study)
    while len(_finished(study)) < trials:
        trial = study.ask()
        proposed = replace(recipe, **{field: values.suggest(trial, field) for field, values in space.items()})
        accuracy = _train(trial, proposed, dataset, seed)
        pruned = accuracy is None
        study.tell(trial, accuracy, state=optuna.trial.TrialState.PRUNED if pruned else None)
        outcome = "given up" if accuracy is None else f"{accuracy:.4%} on validation"
        print(f"trial {trial.number}: {trial.params} -> {outcome}", flush=True)
    result = _result(study) | {"recipe": recipe.to_json(), "seed": seed, "validation": len(dataset.validation)}
    write_json(folder / "tune.json", result)
    return result


def _open_study(folder: Path, seed: int) -> Any:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(logging.WARNING)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        storage = JournalStorage(JournalFileBackend(str(folder / "study.journal")))
        study = optuna.create_study(study_name="tune", storage=storage, direction="maximize", load_if_exists=True)
    except OSError as exc:
        raise RunError(f"the study {folder} cannot be opened: {exc.strerror or exc}") from exc
    # A resumed study must not draw again what it drew before.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials), n_startup_trials=TRIALS_BEFORE_PRUNING)
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=TRIALS_BEFORE_PRUNING, n_warmup_steps=1)
    return study


def _check_same(study: Any, folder: Path, about: Mapping[str, Any]) -> None:
    import json

    text = json.dumps(about, sort_keys=True)
    if (known := study.user_attrs.get("about")) is None:
        study.set_user_attr("about", text)
    elif known != text:
        raise RunError(f"the study {folder} is about another recipe, space, seed or data; choose another folder")


def _ask_lost_trials_again(study: Any) -> None:
    """Trials that an interruption cut off are closed, and their values proposed anew."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params)


def _finished(study: Any) -> list[Any]:
    from optuna.trial import TrialState

    return list(study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED)))


def _train(trial: Any, recipe: Recipe, dataset: Dataset, seed: int) -> float | None:
    """Accuracy on validation; None where the trial was given up."""
    from training.backend import seed_everything

    seed_everything(seed)
    trainer = Trainer(recipe, seed, dataset)
    while not trainer.is_done:
        entry = trainer.train_epoch()
        trial.report(entry["validation_accuracy"], trainer.epoch)
        if not trainer.is_done and trial.should_prune():
            return None
    return trainer.history[-1]["validation_accuracy"]


def _result(study: Any) -> dict[str, Any]:
    best = study.best_trial
    return {
        "best": {"number": best.number, "accuracy": best.value, "fields": best.params},
        "trials": [
            {"number": trial.number, "state": trial.state.name.lower(), "accuracy": trial.value, "fields": trial.params}
            for trial in _finished(study)
        ],
    }
