"""Release of the column network: calibrated with the digit network that it is to work with, and measured with it.

    a run, or the released file --calibrate, measure with models/digits.onnx--> models/columns.onnx, columns.json

How sure a number is depends on both networks, so a new digit network needs this again, though no new training.
"""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.fields import STRIP_VERSION, ColumnReader
from service.reader import Reader
from training.column_run import MAX_BYTES, NAME
from training.data import Dataset
from training.errors import ReleaseError
from training.evaluate import load_classifier
from training.export import write_metadata
from training.fields import calibrate_fields, measure
from training.runs import write_json

_VERSION = re.compile(r"\d+\.\d+\.\d+")


def release_columns(
    source: Path, dataset: Dataset, version: str, models: Path, *, calibration: int, count: int
) -> dict[str, Any]:
    """Put a column network beside the released digit network; returns its record.

    Args:
        source: columns.onnx of a run, or the released one.
        dataset: validation digits to calibrate on, test digits to measure with.
        version: such as 1.2.0.
        models: the folder of released models, with digits.onnx in it.
        calibration: strings of each style to calibrate on.
        count: strings of each style to measure with.

    Raises:
        ReleaseError: the version is none, or the file is too large.
    """
    if not _VERSION.fullmatch(version):
        raise ReleaseError(f"the version {version!r} is not of the form 1.2.3")
    classifier, found = load_classifier(models / "digits.onnx"), ColumnReader.load(source)
    record: dict[str, Any] = {
        "name": NAME,
        "version": version,
        "strip_version": STRIP_VERSION,
        "calibration": calibrate_fields(Reader(classifier, found), dataset.validation, calibration),
        "training": dict(found.record.training),
        "metrics": {},
    }
    with tempfile.TemporaryDirectory(dir=models, prefix="release-") as scratch:
        candidate = Path(scratch) / "columns.onnx"
        _stamp(source, candidate, record)
        figures = measure(Reader(classifier, ColumnReader.load(candidate)), dataset.test, count)
        record["metrics"] = figures | {"digit_model": classifier.record.sha256}
        _stamp(source, candidate, record)
        if (size := candidate.stat().st_size) > MAX_BYTES:
            raise ReleaseError(f"the file has {size} bytes; a released one has at most {MAX_BYTES}")
        record |= {"sha256": ColumnReader.load(candidate).record.sha256}
        write_json(models / "columns.json", record)
        candidate.replace(models / "columns.onnx")
    return record


def _stamp(source: Path, path: Path, record: Mapping[str, Any]) -> None:
    import onnx

    graph = onnx.load(source)
    write_metadata(graph, record)
    path.write_bytes(graph.SerializeToString())
