import argparse
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, median_low, stdev
from typing import Any

from training.architectures import ARCHITECTURES, find_architecture
from training.data import Dataset
from training.errors import RunError
from training.origin import fine_tuning
from training.recipe import Recipe
from training.runs import Run
from training.side_by_side import train_side_by_side
from training.starting import origin_of
from training.train import resume_run, train_run
from training.verbs.common import Arguments, add_runs, add_source, add_verb, load

_TEXT = """\
train a network

Each architecture comes with its recipe: optimizer, loss, schedule, batch size, epochs. A run goes to runs/<id>/ with
its config, weights, history, data hashes and commit. With several seeds, several runs are trained and their spread on
validation is told; --jobs 3 trains three side by side, which takes less time in all: a small network gains little from a
second core. An interrupted run, even a killed one, goes on with --resume and ends with the same weights.
`tensorboard --logdir runs` draws the curves while networks are trained.

To fine-tune on cells that people reviewed, put them into folders 0 to 9 and start from the released model, or from a
finished run:

  python -m training train --init-from models/digits.onnx --data cells/

Its recipe is the one that the network was trained by, with a tenth of the learning rate. Then calibrate, export and
release as usual, with the same --data. A tenth of the cells is kept for the test part; once cells were added, another
tenth is, so to compare releases keep some in a folder that is never trained on.

architectures and what their recipes set:
"""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "train", _run, _TEXT + "\n".join(_recipe_lines()))
    add_source(parser)
    parser.add_argument(
        "--architecture", metavar="NAME", help="which network (default: cnn_225k, or that of --init-from)"
    )
    add_training(parser)
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with this interrupted run; its recipe counts")
    parser.add_argument(
        "--init-from",
        nargs="+",
        default=[],
        metavar="MODEL",
        help="start from the weights of a finished run or a released .onnx file, or of as many as there are seeds, one for each",
    )


def add_training(parser: argparse.ArgumentParser) -> None:
    """Arguments that train and distil share."""
    parser.add_argument(
        "--seeds", "--seed", type=int, nargs="+", default=[0], metavar="SEED", help="one run each (default: 0)"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="so many seeds side by side, each on its share of the cores"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="instead of the recipe's number")
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="FIELD=VALUE",
        help="other fields of the recipe, such as ema=0.999 normalize=columns early_stopping=3",
    )
    parser.add_argument("--h5", action="store_true", help="save model.h5 too, for older Keras")
    add_runs(parser)


def one_for_each(starts: Sequence[str], seeds: Sequence[int]) -> list[tuple[str, int]]:
    """Where each seed starts: all at the one start, or each at its own; at none, an empty name.

    Raises:
        RunError: there are several starts, but not as many as seeds.
    """
    if len(starts) > 1 and len(starts) != len(seeds):
        raise RunError(f"--init-from names {len(starts)} networks for {len(seeds)} seeds; give one, or one for each")
    each = starts if len(starts) > 1 else [*(starts or [""])] * len(seeds)
    return list(zip(each, seeds, strict=True))


def changed(recipe: Recipe, arguments: Arguments) -> Recipe:
    """The recipe as the command line wants it."""
    recipe = recipe.changed(arguments.set)
    return recipe if arguments.epochs is None else replace(recipe, epochs=arguments.epochs)


def train_all(trainings: Sequence[tuple[Recipe, int]], dataset: Dataset, arguments: Arguments) -> list[Run]:
    """One run for each recipe and its seed."""
    if arguments.jobs > 1 and len(trainings) > 1:
        return train_side_by_side(arguments.runs, dataset, trainings, arguments.jobs, h5=arguments.h5)
    return [train_run(arguments.runs, dataset, recipe, seed, h5=arguments.h5) for recipe, seed in trainings]


def print_validation(runs: Sequence[Run]) -> None:
    """What came out, and with several seeds its spread and the run in the middle."""
    accuracies = [run.read("training")["validation"]["accuracy"] for run in runs]
    for run, accuracy in zip(runs, accuracies, strict=True):
        print(f"{run.folder}: {accuracy:.4%} on validation")
    if len(runs) > 1:
        middle = runs[accuracies.index(median_low(accuracies))]
        print(
            f"mean {mean(accuracies):.4%}, standard deviation {stdev(accuracies):.4%}; the median run is {middle.folder}"
        )


def _run(arguments: Arguments) -> None:
    starts = one_for_each(arguments.init_from, arguments.seeds)
    trainings = [(changed(_recipe(arguments.architecture, start), arguments), seed) for start, seed in starts]
    dataset = load(arguments)

    if arguments.resume:
        runs = [resume_run(arguments.resume, dataset, h5=arguments.h5)]
    else:
        runs = train_all(trainings, dataset, arguments)
    print_validation(runs)


def _recipe(architecture: str | None, start: str) -> Recipe:
    if not start:
        return find_architecture(architecture or "cnn_225k").recipe
    former = Recipe.from_json(origin_of(Path(start))["recipe"])
    return fine_tuning(former, Path(start), find_architecture(architecture).recipe if architecture else former)


def _recipe_lines() -> list[str]:
    lines = []
    for name, architecture in ARCHITECTURES.items():
        default = Recipe(name).to_json()
        always = {"optimizer", "loss", "batch_size", "epochs", "learning_rate"}
        fields = [
            f"{field}={value}"
            for field, value in architecture.recipe.to_json().items()
            if field in always or value != default[field]
        ]
        lines.append(f"  {name} ({architecture.parameters_at(architecture.recipe.classes):,} parameters)")
        lines += textwrap.wrap(" ".join(fields), 100, initial_indent="    ", subsequent_indent="    ")
    defaults = [f"{field}={value}" for field, value in Recipe("").to_json().items() if field != "architecture"]
    lines += ["", "fields of a recipe and their defaults:"]
    lines += textwrap.wrap(" ".join(defaults), 100, initial_indent="    ", subsequent_indent="    ")
    return lines
