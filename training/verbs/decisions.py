from pathlib import Path
from typing import Any

from training.errors import DataError
from training.verbs.common import Arguments, add_source, add_verb, load

_TEXT = """\
measure what a model's decisions are worth

How many test digits and photos may pass unread at each promised error rate, with bounds; what becomes of blank cells,
letters and drawn negatives; how long the decision takes. All of it is kept as JSON, with plots beside it, and
`python -m training report` writes it down. Photos and negatives are folders of your own with a CSV file that says what
is on each picture; they are measured, never trained on."""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "decisions", _run, _TEXT)
    add_source(parser)
    parser.add_argument(
        "--model",
        type=Path,
        default=Path("models/digits.onnx"),
        metavar="FILE",
        help="an exported graph (default: models/digits.onnx)",
    )
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="pictures, and MANIFEST.csv with file and label")
    parser.add_argument("--negatives", type=Path, metavar="FOLDER", help="pictures, and labels.csv with file and what")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("docs/decisions"),
        metavar="FOLDER",
        help="where decisions.json and the plots go (default: docs/decisions)",
    )


def _run(arguments: Arguments) -> None:
    from training.acceptance import draw_plots, measure_all
    from training.evaluate import load_classifier
    from training.runs import write_json

    dataset = load(arguments)
    sets = {"photos": arguments.photos, "negatives": arguments.negatives}
    if missing := [folder for folder in sets.values() if folder and not folder.is_dir()]:
        raise DataError(f"the folder {missing[0]} does not exist")
    measured = measure_all(load_classifier(arguments.model), dataset.validation, dataset.test, sets)
    write_json(arguments.out / "decisions.json", measured)
    draw_plots(measured, arguments.out)
    for target, row in measured["test"]["at"].items():
        print(f"test, promised {target}: coverage {row['coverage']:.2%}, error {row.get('error', 0):.3%}")
    print(f"{arguments.out / 'decisions.json'} and plots")
