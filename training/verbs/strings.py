from functools import partial
from pathlib import Path
from typing import Any

from training.errors import RunError
from training.runs import Run
from training.verbs.common import Arguments, add_source, add_verb, load

_TEXT = """\
read numbers of several digits as the service does

With --calibrate a run's calibration.json gains what makes the confidence of a number mean what it says, fitted on
strings of validation digits; export or release the run again to ship it. Without, strings of test digits are read in
all styles, 5 digits and 1 to 10 digits long, drawings that are no digits, and with --sequences real strings, whose
even and odd rows are told apart: the way of reading was developed on the even ones."""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "strings", _run, _TEXT)
    add_source(parser)
    parser.add_argument("model", type=Path, metavar="MODEL", help="an exported run's folder, or an .onnx file")
    parser.add_argument("--calibrate", action="store_true", help="fit on validation strings, write calibration.json")
    parser.add_argument("--count", type=int, default=400, metavar="N", help="strings of each style (default: 400)")
    parser.add_argument("--sequences", type=Path, metavar="FOLDER", help="real strings with labels.csv and boxes.csv")


def _run(arguments: Arguments) -> None:
    from training.evaluate import load_classifier

    run = Run.open(arguments.model) if arguments.model.is_dir() else None
    if arguments.calibrate and run is None:
        raise RunError(f"{arguments.model} is no run folder; only a run can be calibrated")
    classifier = load_classifier(run.onnx_path if run else arguments.model)
    if arguments.calibrate and run is not None:
        _calibrate(run, classifier, arguments)
    else:
        _measure(classifier, arguments)


def _calibrate(run: Run, classifier: Any, arguments: Arguments) -> None:
    from training.fields import calibrate_fields

    fitted = calibrate_fields(classifier, load(arguments).validation, arguments.count)
    run.write("calibration", run.read("calibration") | {"fields": fitted})
    print(f"bias {fitted['bias']:.4f}, weights {', '.join(f'{weight:.4f}' for weight in fitted['weights'])}")
    for target in ("0.01", "0.005", "0.001"):
        print(f"  error {target}: {fitted[target]}")


def _measure(classifier: Any, arguments: Arguments) -> None:
    from training import fields

    test = load(arguments).test
    for length in (5, None):
        print(f"strings of {length or '1 to 10'} test digits:")
        for style, row in fields.measure_strings(classifier, test, arguments.count, length).items():
            _print(style, row)
            print(f"{'':14}{row['touching']:.0%} of neighbours share ink")
    garbage = fields.measure_garbage(classifier, test, arguments.count)
    print(f"no digits: {garbage['accepted']:.2%} of {garbage['n']} accepted {_span(garbage['interval'])}")
    if arguments.sequences:
        for name, rest in (("even rows", 0), ("odd rows", 1)):
            for check in (False, True):
                row = fields.measure_sequences(classifier, arguments.sequences, partial(_is_row, rest), check=check)
                _print(name + (", checked" if check else ""), row)


def _is_row(rest: int, index: int) -> bool:
    return index % 2 == rest


def _print(name: str, row: dict[str, Any]) -> None:
    boxes = "" if row["boxes"] is None else f", boxes {row['boxes']:.1%}"
    print(f"  {name:12}{row['exact']:.1%} of {row['n']} exact {_span(row['interval'])}{boxes}", flush=True)
    error = "" if row["accepted_error_interval"] is None else f" {_span(row['accepted_error_interval'])}"
    accepted = round(row["coverage"] * row["n"])
    print(
        f"{'':14}accepted {row['coverage']:.1%} {_span(row['coverage_interval'])}, "
        f"{row['accepted_wrong']} of {accepted} wrong{error}"
    )


def _span(interval: tuple[float, float]) -> str:
    return f"({interval[0]:.1%} to {interval[1]:.1%})"
