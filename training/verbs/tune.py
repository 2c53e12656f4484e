from pathlib import Path
from typing import Any

from training.architectures import find_architecture
from training.tune import DEFAULT_SPACE, parse_space, tune
from training.verbs.common import Arguments, add_source, add_verb, load
from training.verbs.train import changed

_TEXT = """\
search for the fields of a recipe that do best on validation digits

Optuna proposes values, learns from what came out, and gives up trials that fall behind. Every trial is noted at once,
so the same command goes on with a study that was interrupted or killed, or adds trials to one that was finished. The
test digits are not looked at. The result is the command that trains with what was found.

A field's values are a range, low:high, or a list, a,b,c:

  python -m training tune --space learning_rate=1e-4:1e-2 batch_size=64,128 optimizer=adam,sgd"""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "tune", _run, _TEXT)
    add_source(parser)
    parser.add_argument("--architecture", default="cnn_225k", metavar="NAME", help="which network (default: cnn_225k)")
    parser.add_argument(
        "--space",
        nargs="+",
        default=DEFAULT_SPACE,
        metavar="FIELD=VALUES",
        help=f"what to search (default: {' '.join(DEFAULT_SPACE)})",
    )
    parser.add_argument(
        "--trials", type=int, default=20, metavar="N", help="in all, former ones included (default: 20)"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="of each trial, instead of the recipe's number")
    parser.add_argument("--set", nargs="+", default=[], metavar="FIELD=VALUE", help="fields that are not searched")
    parser.add_argument("--seed", type=int, default=0, help="of trainings and proposals (default: 0)")
    parser.add_argument(
        "--study", type=Path, metavar="FOLDER", help="where the study is kept (default: runs/tune-<architecture>)"
    )


def _run(arguments: Arguments) -> None:
    recipe = changed(find_architecture(arguments.architecture).recipe, arguments)
    space = parse_space(recipe, arguments.space)
    folder = arguments.study or Path("runs") / f"tune-{recipe.architecture}"
    result = tune(folder, load(arguments), recipe, space, arguments.trials, arguments.seed)
    best = result["best"]
    fields = " ".join(f"{field}={value}" for field, value in best["fields"].items())
    print(f"best of {len(result['trials'])}: trial {best['number']}, {best['accuracy']:.4%} on validation")
    print(f"python -m training train --architecture {recipe.architecture} --set {fields}")
