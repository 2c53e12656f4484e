from pathlib import Path
from typing import Any

from training.baselines import BASELINES, find_baseline, measure_baseline
from training.runs import write_json
from training.verbs.common import RECORDS, Arguments, add_source, add_verb, load

_TEXT = """\
fit and measure classifiers without a network: neighbours, support vectors, trees, logistic regression

They see the same digits and go through the same evaluation as the networks, so that `compare` can put all side by side.
All five take some minutes on 54,000 digits, most of it for the support vectors."""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "baselines", _run, _TEXT)
    add_source(parser)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which (default: all): {', '.join(BASELINES)}")
    parser.add_argument("--fit-on", type=int, metavar="N", help="so many training digits instead of all")
    parser.add_argument("--seed", type=int, default=0, help="of those that draw random numbers (default: 0)")
    parser.add_argument(
        "--record", type=Path, metavar="FOLDER", help=f"write the records there, such as {RECORDS}, for compare"
    )


def _run(arguments: Arguments) -> None:
    names = arguments.names or list(BASELINES)
    for name in names:
        find_baseline(name)
    dataset = load(arguments)
    for name in names:
        record = measure_baseline(name, dataset, arguments.seed, arguments.fit_on)
        test = record["evaluation"]["test"]
        print(
            f"{name}: {test['accuracy']:.2%} of {test['n']:,} on test, fitted in {record['training']['seconds']:.0f} s, "
            f"{record['latency']['1'] / 1000:.2f} ms a digit, {record['bytes'] / 1e6:.1f} MB",
            flush=True,
        )
        if arguments.record:
            write_json(arguments.record / f"{record['id']}.json", record)
