from pathlib import Path
from typing import Any

from training.runs import Run, machine, write_json
from training.verbs.common import FIGURES, Arguments, add_source, add_verb, load

_TEXT = """\
measure what students learned from their teachers

MNIST's validation digits and sets of pictures, as for handwriting, are read with each teacher, with all of them together,
and with each student that `distil` trained."""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "lessons", _run, _TEXT)
    add_source(parser)
    parser.add_argument("students", type=Path, nargs="+", metavar="RUN", help="runs that distil trained together")
    parser.add_argument(
        "--sets", nargs="+", default=[], metavar="SET", help="a folder, FILE.npz, FILE.npz:NAME or load_digits"
    )
    parser.add_argument("--record", type=Path, metavar="FOLDER", help=f"write lessons.json, such as into {FIGURES}")


def _run(arguments: Arguments) -> None:
    from training import lessons
    from training.handwriting import load_set

    students = [Run.open(folder) for folder in arguments.students]
    sets = [load_set(source) for source in arguments.sets]
    figures = {"machine": machine(), **lessons.measure(students, sets, load(arguments))}
    header, rows = lessons.table(figures)
    for row in (header, *rows):
        print("\t".join(row))
    if arguments.record:
        write_json(arguments.record / "lessons.json", figures)
