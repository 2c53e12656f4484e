from pathlib import Path
from typing import Any

from service.reader import Reader
from training.evaluate import load_classifier
from training.runs import machine, write_json
from training.verbs.common import FIGURES, Arguments, add_verb, model_of

_TEXT = """\
measure what each step of the normalisation is worth, beside OpenCV

Sets of labelled pictures, as for handwriting, are read with every step of the service's normalisation switched off in
turn, and with the same steps made of OpenCV's functions in its place. Then both are timed on drawn pictures, beside
Pillow's decoding of the same files, and their memory and installed size are measured."""

PER_SET = 1000


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "ablate", _run, _TEXT)
    parser.add_argument("model", type=Path, metavar="MODEL", help="an exported graph: models/digits.onnx")
    parser.add_argument("sets", nargs="+", metavar="SET", help="a folder, FILE.npz, FILE.npz:NAME or load_digits")
    parser.add_argument(
        "--per-set",
        type=int,
        default=PER_SET,
        metavar="N",
        help=f"pictures of each set at most, evenly spread over it (default: {PER_SET})",
    )
    parser.add_argument("--record", type=Path, metavar="FOLDER", help=f"write ablation.json, such as into {FIGURES}")


def _run(arguments: Arguments) -> None:
    from training import ablation, costs
    from training.contender import normalise_with_opencv
    from training.handwriting import load_set

    classifier = load_classifier(arguments.model)
    reader = Reader(classifier)
    sets = [load_set(source).spread(arguments.per_set) for source in arguments.sets]
    errors = ablation.ablate(reader, sets)
    errors[ablation.OPENCV] = ablation.contend(reader, sets, normalise_with_opencv)
    kinds = costs.draw_kinds()
    figures = {
        "model": model_of(classifier),
        "machine": machine(),
        "sets": [{"name": pictures.name, "n": len(pictures.pictures)} for pictures in sets],
        "errors": errors,
        "microseconds": costs.measure_times(kinds),
        "megabytes": costs.measure_memory(kinds),
        "installed": costs.measure_sizes(),
    }
    _tell(figures)
    if arguments.record:
        write_json(arguments.record / "ablation.json", figures)


def _tell(figures: dict[str, Any]) -> None:
    sizes = [each["n"] for each in figures["sets"]]
    print("\t".join(("errors", *(f"{each['name']} ({each['n']:,})" for each in figures["sets"]))))
    for name, errors in figures["errors"].items():
        print("\t".join((name, *(f"{wrong} ({1 - wrong / n:.2%})" for wrong, n in zip(errors, sizes, strict=True)))))
    for kind, taken in figures["microseconds"].items():
        decoding, *_ = taken.values()
        told = (f"{name} {value:,.0f} us ({value / decoding:.2f})" for name, value in taken.items())
        print(f"{kind}: {', '.join(told)}")
    for name, installed in figures["installed"].items():
        resident = figures["megabytes"].get(name, {}).items()
        weighed = [
            f"{installed['megabytes']:.1f} MB installed",
            *(f"{size:.0f} MB resident: {what}" for what, size in resident),
        ]
        print(f"{name}: {', '.join(weighed)}")
