from dataclasses import replace
from pathlib import Path
from typing import Any

from training.architectures import find_architecture
from training.errors import RunError
from training.runs import Run
from training.verbs.common import Arguments, add_source, add_verb, load
from training.verbs.train import add_training, changed, one_for_each, print_validation, train_all

_TEXT = """\
train a small network to answer as larger ones do

The student learns from the labels and from the mean answer of its teachers, which says more: how much a 7 looks like
a 1. The teachers see the very pictures that the student sees, augmentation included. (Hinton, Vinyals, Dean, 2015)

A student as large as its teachers may start where one of them stands, and comes nearer to what all of them answer together;
each seed from another teacher, so that the students differ as their teachers do:

  python -m training distil A B C --student ours --init-from A B C --seeds 1 2 3 --jobs 3"""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "distil", _run, _TEXT)
    add_source(parser)
    parser.add_argument("teachers", type=Path, nargs="+", metavar="RUN", help="finished runs to learn from")
    parser.add_argument("--student", default="cnn_32_64_64_dense64", metavar="NAME", help="which network is to learn")
    parser.add_argument(
        "--init-from",
        nargs="+",
        default=[],
        metavar="RUN",
        help="start from the weights of this finished run, or of as many as there are seeds, one for each",
    )
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
    recipe = changed(recipe, arguments)
    starts = one_for_each(arguments.init_from or [recipe.init_from], arguments.seeds)
    trainings = [(replace(recipe, init_from=start), seed) for start, seed in starts]
    print_validation(train_all(trainings, load(arguments), arguments))
