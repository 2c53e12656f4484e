from pathlib import Path
from typing import Any

from training.runs import machine, write_json
from training.verbs.common import FIGURES, Arguments, add_runs, add_source, add_verb, load

_TEXT = """\
measure what each ingredient of our network's training is worth

Our network is trained with all it is taught, then with each ingredient left out in turn: what code draws, negatives,
each kind of augmentation, averaged weights. The trainings are short; those that are finished in the folder of runs are
not done again. Then MNIST's validation digits and sets of pictures, as for handwriting, are read with each."""

EPOCHS = 8


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "ingredients", _run, _TEXT)
    add_source(parser)
    parser.add_argument("sets", nargs="*", metavar="SET", help="a folder, FILE.npz, FILE.npz:NAME or load_digits")
    parser.add_argument("--epochs", type=int, default=EPOCHS, metavar="N", help=f"of each training (default: {EPOCHS})")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(default: 0)")
    add_runs(parser)
    parser.add_argument("--record", type=Path, metavar="FOLDER", help=f"write ingredients.json, such as into {FIGURES}")


def _run(arguments: Arguments) -> None:
    from training import ingredients
    from training.handwriting import load_set

    sets = [load_set(source) for source in arguments.sets]
    dataset = load(arguments)
    runs = ingredients.train_all(arguments.runs, dataset, arguments.epochs, arguments.seed)
    figures = {"machine": machine(), **ingredients.measure(runs, sets, dataset)}
    _tell(figures)
    if arguments.record:
        write_json(arguments.record / "ingredients.json", figures)


def _tell(figures: dict[str, Any]) -> None:
    sizes = [each["n"] for each in figures["sets"]]
    named = [f"{each['name']} ({each['n']:,})" for each in figures["sets"]]
    print("\t".join(("misread", *named, f"negatives that pass ({figures['negatives']:,})")))
    for name, row in figures["rows"].items():
        told = [f"{wrong} ({wrong / n:.2%})" for wrong, n in zip(row["errors"], sizes, strict=True)]
        print("\t".join((name, *told, str(row["passing"]))))
