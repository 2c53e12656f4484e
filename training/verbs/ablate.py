from pathlib import Path
from typing import Any

from training.verbs.common import FIGURES, Arguments, add_verb

_TEXT = """\
measure what each step of the normalisation is worth

Sets of labelled pictures, as for handwriting, are read with every step of the service's normalisation switched off in
turn, and with the same steps made of OpenCV's functions in its place, which is timed against it."""

PER_SET = 1000
TIMED = 100


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "ablate", _run, _TEXT)
    parser.add_argument("model", type=Path, metavar="MODEL", help="an exported graph: models/digits.onnx")
    parser.add_argument("sets", nargs="+", metavar="SET", help="a folder, FILE.npz, FILE.npz:NAME or load_digits")
    parser.add_argument(
        "--per-set",
        type=int,
        default=PER_SET,
        metavar="N",
        help=f"pictures of each set, evenly spread over it (default: {PER_SET})",
    )
    parser.add_argument("--record", type=Path, metavar="FOLDER", help=f"write ablation.json, such as into {FIGURES}")


def _run(arguments: Arguments) -> None:
    from service.reader import Reader
    from training import ablation
    from training.contender import normalise_with_opencv
    from training.evaluate import load_classifier
    from training.handwriting import load_set
    from training.runs import machine, write_json

    classifier = load_classifier(arguments.model)
    reader = Reader(classifier)
    sets = [load_set(source).spread(arguments.per_set) for source in arguments.sets]
    rows = ablation.ablate(reader, sets)
    rows[ablation.OPENCV] = ablation.contend(reader, sets, normalise_with_opencv)
    both = ablation.normalise_as_served, normalise_with_opencv
    times = [ablation.time_in_turns(both, pictures.spread(TIMED).pictures) for pictures in sets]
    print("\t".join(("", *(f"{pictures.name} ({len(pictures.pictures):,})" for pictures in sets))))
    for name, accuracies in rows.items():
        print("\t".join((name, *(f"{accuracy:.2%}" for accuracy in accuracies))))
    for row, name in enumerate((ablation.WHOLE, ablation.OPENCV)):
        print("\t".join((f"ms a picture, {name}", *(f"{taken[row]:.2f}" for taken in times))))
    if arguments.record:
        record = classifier.record
        told = {"version": record.version, "sha256": record.sha256, "architecture": record.architecture}
        described = [{"name": pictures.name, "n": len(pictures.pictures)} for pictures in sets]
        figures = {"model": told, "machine": machine(), "sets": described, "accuracy": rows, "milliseconds": times}
        write_json(arguments.record / "ablation.json", figures)
