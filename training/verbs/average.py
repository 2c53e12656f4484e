from pathlib import Path
from typing import Any

from training.verbs.common import Arguments, add_runs, add_source, add_verb, load
from training.verbs.train import print_validation

_TEXT = """\
average the weights of runs with those that they started from

Of each run that started from another network, by --init-from, a new run is made half way between the two. It keeps what
the one knew and has much of what the other learned (M. Wortsman et al., 2022). Calibrate, export, evaluate and release it
as any other run; `lessons` tells which reads best."""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "average", _run, _TEXT)
    add_source(parser)
    parser.add_argument(
        "averaged", type=Path, nargs="+", metavar="RUN", help="finished runs that started from a network"
    )
    add_runs(parser)


def _run(arguments: Arguments) -> None:
    from training.averaging import average_with_start

    dataset = load(arguments)
    print_validation([average_with_start(folder, arguments.runs, dataset) for folder in arguments.averaged])
