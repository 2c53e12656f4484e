from pathlib import Path
from typing import Any

from training.verbs.common import Arguments, add_runs, add_source, add_verb, load

_TEXT = """\
train the network that reads numbers of several digits

It sees whole lines and says what stands in each column, a digit's middle or none. It learns from strings that are made
of training digits. With --release, a run goes into models/, or stays there: how sure whole numbers are is fitted on
strings of validation digits with models/digits.onnx, and strings of test digits are measured. A new digit network needs
that again: `columns --release models/columns.onnx --version 1.2.0`.

  python -m training columns
  python -m training columns --init-from runs/<id> --seed 2 --steps 6000 --learning-rate 0.0015"""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "columns", _run, _TEXT)
    add_source(parser)
    add_runs(parser)
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with an interrupted run")
    parser.add_argument("--strings", type=int, default=80_000, metavar="N", help="strings to make (default: 80000)")
    parser.add_argument("--steps", type=int, default=5_000, metavar="N", help="steps of training (default: 5000)")
    parser.add_argument("--init-from", type=Path, metavar="RUN", help="start from the weights of a finished run")
    parser.add_argument(
        "--learning-rate", type=float, default=0.0025, metavar="RATE", help="the highest (default: 0.0025)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="(default: 1)")
    parser.add_argument(
        "--release", type=Path, metavar="RUN", help="calibrate a run, or an .onnx file, and put it into models/"
    )
    parser.add_argument("--version", default="0.0.0", help="version of the released model, such as 1.2.0")
    parser.add_argument("--models", type=Path, default=Path("models"), metavar="FOLDER", help="(default: models)")
    parser.add_argument(
        "--count", type=int, default=1000, metavar="N", help="test strings of each style (default: 1000)"
    )


def _run(arguments: Arguments) -> None:
    from training import column_run

    dataset = load(arguments)
    if arguments.release:
        _release(arguments, dataset)
        return
    folder = arguments.resume
    if folder is None:
        recipe = column_run.ColumnRecipe(
            strings=arguments.strings,
            steps=arguments.steps,
            learning_rate=arguments.learning_rate,
            seed=arguments.seed,
            init_from=str(arguments.init_from or ""),
        )
        folder = column_run.start(arguments.runs, dataset, recipe)
    print(f"{folder}: training", flush=True)
    print(f"{column_run.train(folder, dataset)} is written")


def _release(arguments: Arguments, dataset: Any) -> None:
    from training.column_release import release_columns
    from training.fields import CALIBRATION_STRINGS

    source = arguments.release / "columns.onnx" if arguments.release.is_dir() else arguments.release
    record = release_columns(
        source,
        dataset,
        arguments.version,
        arguments.models,
        calibration=CALIBRATION_STRINGS,
        count=arguments.count,
    )
    for target in ("0.01", "0.005", "0.001"):
        print(f"error {target}: {record['calibration'][target]}")
    print(f"{arguments.models / 'columns.onnx'}: version {record['version']}, sha256 {record['sha256']}")
