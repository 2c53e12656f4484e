from pathlib import Path
from typing import Any

from training.runs import Run
from training.verbs.common import Arguments, add_run, add_source, add_verb, load

_TEXT = """\
put an exported run into models/

Parity, accuracy, uploads and contract are checked once more on the very file that is released; if one fails, nothing
is written."""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "release", _run, _TEXT)
    add_source(parser)
    add_run(parser)
    parser.add_argument("--version", required=True, help="version of the model, such as 1.2.0")
    parser.add_argument(
        "--models", type=Path, default=Path("models"), metavar="FOLDER", help="where to (default: models)"
    )
    parser.add_argument(
        "--minimum-accuracy", type=float, default=0.985, metavar="SHARE", help="on the test set (default: 0.985)"
    )


def _run(arguments: Arguments) -> None:
    from training.release import release_run

    record = release_run(
        Run.open(arguments.run),
        load(arguments),
        arguments.version,
        arguments.models,
        minimum_accuracy=arguments.minimum_accuracy,
    )
    accuracy = record["metrics"]["test"]["accuracy"]
    print(
        f"{arguments.models / 'digits.onnx'}: version {record['version']}, {accuracy:.2%} on test, sha256 {record['sha256']}"
    )
