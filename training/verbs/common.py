"""What several verbs share: their help, where the data are, which run is meant."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from service.classifier import DigitClassifier
from training import data

Arguments = argparse.Namespace

RECORDS = Path("docs/runs")
FIGURES = Path("docs/figures")
RELEASED = Path("models/digits.onnx")


def add_verb(
    verbs: Any, name: str, run: Callable[[Arguments], None], text: str, epilog: str = ""
) -> argparse.ArgumentParser:
    """Add a verb; the first line of its text also stands in the overview."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, description=text, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(run_verb=run)
    return parser


def data_folder() -> Path:
    return Path(os.environ.get("DIGITS_DATA_DIR", "data"))


def add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        default=data_folder(),
        metavar="PATH",
        help="MNIST's or EMNIST digits' IDX files in a folder, a .npz as Keras has it, Kaggle's CSV, or a folder of "
        "pictures in folders 0 to 9 (default: $DIGITS_DATA_DIR, else data)",
    )
    parser.add_argument(
        "--writers",
        type=Path,
        metavar="PATH",
        help=f"{data.QMNIST_LABELS} or its folder, for a validation split by writer "
        "(default: for MNIST $DIGITS_QMNIST_DIR, else beside the images)",
    )


def add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", type=Path, metavar="RUN", help="a run folder, such as runs/cnn_225k-seed0-20260101-120000"
    )


def add_runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="FOLDER", help="where runs are kept (default: runs)"
    )


def add_records(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--records",
        type=Path,
        default=RECORDS,
        metavar="FOLDER",
        help=f"where the records of runs and baselines are kept (default: {RECORDS})",
    )


def load(arguments: Arguments) -> data.Dataset:
    writers = os.environ.get("DIGITS_QMNIST_DIR")
    if arguments.writers is None and writers and data.may_have_writers(arguments.data):
        return data.load_dataset(arguments.data, Path(writers))
    return data.load_dataset(arguments.data, arguments.writers)


def model_of(classifier: DigitClassifier) -> dict[str, str]:
    """Which model figures were measured with."""
    record = classifier.record
    return {"version": record.version, "sha256": record.sha256, "architecture": record.architecture}
