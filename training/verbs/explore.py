from pathlib import Path
from typing import Any

from training.verbs.common import Arguments, add_source, add_verb, load

_TEXT = """\
look at the data: counts, samples, grey levels, mean digits, nearest classes, duplicates, oddities

Do this before training on data of your own: a class with few digits, labels that are wrong, pictures that are blank
or cut off show here, in pictures and in a short report (README.md) in the folder --out."""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "explore", _run, _TEXT)
    add_source(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("explore"), metavar="FOLDER", help="where to write (default: explore)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the samples shown (default: 0)")


def _run(arguments: Arguments) -> None:
    from training.explore import explore

    facts = explore(load(arguments), arguments.out, arguments.seed)
    for name, part in facts["parts"].items():
        print(f"{name}: {part['n']:,} digits, by class {part['counts']}")
    nearest = facts["pairs"][0]
    print(f"nearest classes: {nearest['first']} and {nearest['second']}; duplicates: {facts['duplicates']}")
    print(f"report: {arguments.out / 'README.md'}")
