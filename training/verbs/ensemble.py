from pathlib import Path
from typing import Any

from training.verbs.common import Arguments, add_runs, add_source, add_verb, load

_TEXT = """\
average the answers of several runs, as one run

The mean of the members' logits is one network and, exported, one graph: calibrate, export, evaluate and release it as
any other run. It costs as much as its members together. Runs of one recipe with several seeds make good members."""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "ensemble", _run, _TEXT)
    add_source(parser)
    parser.add_argument("members", type=Path, nargs="+", metavar="RUN", help="finished runs, at least two")
    add_runs(parser)


def _run(arguments: Arguments) -> None:
    from training.ensemble import ensemble_runs

    run = ensemble_runs(arguments.members, arguments.runs, load(arguments))
    result = run.read("training")
    print(
        f"{run.folder}: {result['validation']['accuracy']:.4%} on validation, {result['parameters']:,} parameters "
        f"in {len(arguments.members)} members"
    )
