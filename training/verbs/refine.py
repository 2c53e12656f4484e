from dataclasses import replace
from pathlib import Path
from typing import Any

from training.architectures import REFINED
from training.train import train_run
from training.verbs.common import Arguments, add_source, add_verb, load
from training.verbs.distil import open_finished
from training.verbs.train import add_recipe, changed, print_validation

_TEXT = """\
go on with several finished runs of ours, each of which also learns from the mean answer of all

A run goes on from its own weights, with its own seed, on other drawings and more of the digits themselves. What
several networks agree on is right more often than what one of them says, and one network can learn it. (T. Furlanello
and others, "Born-Again Neural Networks", 2018)"""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "refine", _run, _TEXT)
    add_source(parser)
    parser.add_argument("former", type=Path, nargs="+", metavar="RUN", help="finished runs of ours")
    add_recipe(parser)


def _run(arguments: Arguments) -> None:
    former, dataset = open_finished(arguments.former), load(arguments)
    recipe = changed(replace(REFINED, teachers=tuple(str(run.folder) for run in former)), arguments)
    refined = [
        train_run(arguments.runs, dataset, replace(recipe, init_from=str(run.folder)), run.seed) for run in former
    ]
    print_validation(refined)
