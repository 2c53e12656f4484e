from functools import partial
from pathlib import Path
from typing import Any

from service.reader import Reader
from training.errors import RunError
from training.evaluate import load_classifier
from training.numbers import SHEETS
from training.runs import Run, machine, write_json
from training.verbs.common import FIGURES, Arguments, add_source, add_verb, load, model_of

_TEXT = """\
read numbers of several digits as the service does

With --calibrate a column network's run gains what makes the confidence of a number mean what it says, fitted on
strings of validation digits; a new digit network needs that again. Without, strings of test digits are read in
all styles, 5 digits and 1 to 10 digits long, drawings that are no digits, and with --sequences real strings, whose
even and odd rows are told apart: the way of reading was developed on the even ones. The lines of photographed sheets
are found and read as well. Some strings are also read by cutting alone, and by the columns alone."""

TEST_STRINGS = 1000
# Of each style, to compare the ways of reading.
ROUTE_STRINGS = 200


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "strings", _run, _TEXT)
    add_source(parser)
    parser.add_argument("model", type=Path, metavar="MODEL", help="an exported run's folder, or an .onnx file")
    parser.add_argument(
        "--columns",
        type=Path,
        default=Path("models/columns.onnx"),
        metavar="RUN",
        help="the column network, a run's folder or an .onnx file (default: the released one)",
    )
    parser.add_argument("--calibrate", action="store_true", help="fit on validation strings, write calibration.json")
    parser.add_argument(
        "--count", type=int, metavar="N", help="strings of each style (default: 1000, to calibrate 750)"
    )
    parser.add_argument("--sequences", type=Path, metavar="FOLDER", help="real strings with labels.csv and boxes.csv")
    parser.add_argument("--record", type=Path, metavar="FOLDER", help=f"write fields.json, such as into {FIGURES}")


def _run(arguments: Arguments) -> None:
    from service.fields import ColumnReader

    run = Run.open(arguments.model) if arguments.model.is_dir() else None
    classifier = load_classifier(run.onnx_path if run else arguments.model)
    columns = arguments.columns / "columns.onnx" if arguments.columns.is_dir() else arguments.columns
    if arguments.calibrate and not arguments.columns.is_dir():
        raise RunError(f"{arguments.columns} is no run folder; only a run can be calibrated")
    reader = Reader(classifier, ColumnReader.load(columns))
    if arguments.calibrate:
        _calibrate(reader, arguments)
    else:
        _measure(reader, arguments)


def _calibrate(reader: Any, arguments: Arguments) -> None:
    from training.column_run import export
    from training.fields import CALIBRATION_STRINGS, calibrate_fields

    fitted = calibrate_fields(reader, load(arguments).validation, arguments.count or CALIBRATION_STRINGS)
    write_json(arguments.columns / "calibration.json", fitted)
    export(arguments.columns)
    print(f"bias {fitted['bias']:.4f}, weights {', '.join(f'{weight:.4f}' for weight in fitted['weights'])}")
    for target in ("0.01", "0.005", "0.001"):
        print(f"  error {target}: {fitted[target]}")


def _measure(reader: Any, arguments: Arguments) -> None:
    from training import fields, routes

    figures = fields.measure(reader, load(arguments).test, arguments.count or TEST_STRINGS)
    figures["sequences"] = {}
    if arguments.sequences:
        for name, rest in (("even rows", 0), ("odd rows", 1)):
            for known, check in (("nothing known", False), ("check digit known", True)):
                row = fields.measure_sequences(reader, arguments.sequences, partial(_is_row, rest), check=check)
                figures["sequences"][f"{name}, {known}"] = row
        sheets = fields.measure_sheets(reader, arguments.sequences)
        if sheets:
            figures["sequences"][SHEETS] = sheets
    figures["routes"] = routes.measure(
        reader, load(arguments).test, arguments.count or ROUTE_STRINGS, arguments.sequences
    )
    _tell(figures)
    if arguments.record:
        columns = reader.columns.record
        figures |= {"model": model_of(reader.classifier)}
        figures |= {"columns": {"version": columns.version, "sha256": columns.sha256}, "machine": machine()}
        write_json(arguments.record / "fields.json", figures)


def _tell(figures: dict[str, Any]) -> None:
    for name, styles in figures["strings"].items():
        print(f"strings of {name} test digits:")
        for style, row in styles.items():
            _print(style, row)
            print(f"{'':14}{row['touching']:.0%} of neighbours share ink")
    garbage = figures["garbage"]
    print(f"no digits: {garbage['accepted']:.2%} of {garbage['n']} accepted {_span(garbage['interval'])}")
    for name, row in figures["sequences"].items():
        _print(name, row)
    _tell_routes(figures["routes"])
    time = figures["time"]
    print(
        f"a field of 5 digits takes {time['spaced']:.1f} ms spaced and {time['touching']:.1f} ms touching, a single digit "
        f"{time['single']:.2f} ms: {time['ratio']:.1f} times as long"
    )


def _tell_routes(routes: dict[str, Any]) -> None:
    for name, row in routes.items():
        parts = ", ".join(f"{kind} {part['exact']:.1%} of {part['n']}" for kind, part in row["exact"].items())
        print(f"{name}: {parts}; {row['time']:.1f} ms")


def _is_row(rest: int, index: int) -> bool:
    return index % 2 == rest


def _print(name: str, row: dict[str, Any]) -> None:
    boxes = "" if row["boxes"] is None else f", boxes {row['boxes']:.1%}"
    print(f"  {name:12} {row['exact']:.1%} of {row['n']} exact {_span(row['interval'])}{boxes}", flush=True)
    error = "" if row["accepted_error_interval"] is None else f" {_span(row['accepted_error_interval'])}"
    accepted = round(row["coverage"] * row["n"])
    print(
        f"{'':14}accepted {row['coverage']:.1%} {_span(row['coverage_interval'])}, "
        f"{row['accepted_wrong']} of {accepted} wrong{error}"
    )


def _span(interval: tuple[float, float]) -> str:
    return f"({interval[0]:.1%} to {interval[1]:.1%})"
