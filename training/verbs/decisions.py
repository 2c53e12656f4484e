from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.errors import DataError
from training.runs import write_json
from training.verbs.common import FIGURES, RELEASED, Arguments, add_source, add_verb, load

_TEXT = """\
measure what a model's decisions are worth

How many test digits and photos may pass unread at each promised error rate, with bounds; what becomes of blank cells,
letters and drawn negatives; how long the decision takes. --record keeps all of it as JSON, and `python -m training report`
writes it down with plots. Photos and negatives are folders of your own with a CSV file that says what
is on each picture; they are measured, never trained on."""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "decisions", _run, _TEXT)
    add_source(parser)
    parser.add_argument(
        "--model",
        type=Path,
        default=RELEASED,
        metavar="FILE",
        help=f"an exported graph (default: {RELEASED})",
    )
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="pictures, and MANIFEST.csv with file and label")
    parser.add_argument("--negatives", type=Path, metavar="FOLDER", help="pictures, and labels.csv with file and what")
    parser.add_argument("--record", type=Path, metavar="FOLDER", help=f"write decisions.json, such as into {FIGURES}")


def _run(arguments: Arguments) -> None:
    from training.acceptance import measure_all

    sets = {"photos": arguments.photos, "negatives": arguments.negatives}
    if missing := [folder for folder in sets.values() if folder and not folder.is_dir()]:
        raise DataError(f"the folder {missing[0]} does not exist")
    dataset = load(arguments)
    measured = measure_all(arguments.model, dataset, sets)
    _tell(measured)
    if arguments.record:
        write_json(arguments.record / "decisions.json", measured)


def _tell(measured: Mapping[str, Any]) -> None:
    for name in ("test", "photos"):
        for target, row in measured.get(name, {"at": {}})["at"].items():
            error = f"{row['error']:.3%}, at most {row['error_upper']:.3%}" if row["accepted"] else "none accepted"
            print(f"{name}, promised {float(target):g}: coverage {row['coverage']:.2%}, error {error}")
    best = measured["test"]["best"]["0.001"]
    print(f"test, best at an error of 0.001: coverage {best['coverage']:.2%} with {best['wrong']} wrong")
    for name, row in measured["likelihood"].items():
        changes = (
            f"NLL {row['nll_before']:.5f} -> {row['nll']:.5f}, Brier {row['brier_before']:.5f} -> {row['brier']:.5f}"
        )
        print(f"test, {name}: {changes} by the temperature")
    for folder, row in measured.get("negatives", {}).items():
        print(f"{folder}: " + ", ".join(f"{name} {count}" for name, count in row.items()))
    for family, row in measured["families"]["families"].items():
        held_out = " (held out)" if row["held_out"] else ""
        shares = f"passes {row['accepted']:.2%}, accepted {row['accepted_by_default']:.2%}"
        shares += f", as upload {row['accepted_as_upload']:.2%}"
        print(f"{family}{held_out}: AUROC {row['auroc']:.4f}, {shares}")
    cost = measured["cost"]
    print(f"the decision takes {cost['decide']:.1f} of {cost['read']:.0f} us ({cost['share']:.1%})")
