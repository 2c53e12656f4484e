from dataclasses import replace
from pathlib import Path
from typing import Any

from training.architectures import find_architecture
from training.errors import RunError
from training.runs import Run
from training.verbs.common import Arguments, add_source, add_verb, load
from training.verbs.train import add_training, changed, print_validation, train_seeds

_TEXT = """\
train a small network to answer as larger ones do

The student learns from the labels and from the mean answer of its teachers, which says more: how much a 7 looks like
a 1. The teachers see the very pictures that the student sees, augmentation included. (Hinton, Vinyals, Dean, 2015)"""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "distil", _run, _TEXT)
    add_source(parser)
    parser.add_argument("teachers", type=Path, nargs="+", metavar="RUN", help="finished runs to learn from")
    parser.add_argument("--student", default="cnn_32_64_64_dense64", metavar="NAME", help="which network is to learn")
    add_training(parser)


def _run(arguments: Arguments) -> None:
    recipe = find_architecture(arguments.student).recipe
    teachers = [Run.open(folder) for folder in arguments.teachers]
    if unfinished := [str(run.folder) for run in teachers if not run.model_path.is_file()]:
        raise RunError(f"the training of {', '.join(unfinished)} is not finished; it cannot teach")
    recipe = replace(
        recipe,
        classes=teachers[0].recipe.classes,
        loss="categorical_crossentropy",
        teachers=tuple(str(run.folder) for run in teachers),
    )
    print_validation(train_seeds(changed(recipe, arguments), load(arguments), arguments))
