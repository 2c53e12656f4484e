"""What the routes share: made once when the application starts, handed to each request, never global."""

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import anyio

from service.admission import Admission
from service.auth import ApiKeys
from service.batching import Batcher
from service.classifier import ModelRecord
from service.columns import ColumnRecord
from service.heads import Heads
from service.limits import Limits
from service.metrics import Metrics
from service.preprocessing import SIZE
from service.reader import Reader
from service.refusals import Refusals
from service.settings import Settings

# For what is too large to be read on the event loop. The work holds one core, so a second thread only keeps a large
# picture from waiting behind a large batch; small pictures are read by the thread whose turn it is.
READER_THREADS = 2


@dataclass
class State:
    """Everything a request needs beside itself."""

    settings: Settings
    reader: Reader
    metrics: Metrics
    # Paths as they come in, with the route that they lead to, of requests that may be refused at the door.
    refusable: Mapping[bytes, str] = field(default_factory=dict)
    ready: bool = False
    turn: threading.Lock = field(default_factory=threading.Lock)
    limiter: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(READER_THREADS))

    @cached_property
    def admission(self) -> Admission:
        settings = self.settings
        return Admission(settings.max_in_flight, settings.max_in_flight_images, settings.max_in_flight_bytes)

    @cached_property
    def refusals(self) -> Refusals:
        return Refusals(self.refusable, self.metrics)

    @cached_property
    def heads(self) -> Heads:
        return Heads(self.refusable)

    @cached_property
    def api_keys(self) -> ApiKeys:
        return ApiKeys(self.settings.api_keys)

    @cached_property
    def batcher(self) -> Batcher:
        return Batcher(self.reader.classifier.predict, self.metrics.inference_batch_size.observe)

    @property
    def record(self) -> ModelRecord:
        return self.reader.classifier.record

    @property
    def field_record(self) -> ColumnRecord:
        assert self.reader.columns is not None  # the application reads fields
        return self.reader.columns.record

    @cached_property
    def limits(self) -> Limits:
        settings = self.settings
        return Limits(
            image_bytes=settings.max_image_bytes,
            batch_bytes=settings.max_batch_bytes,
            unpacked_bytes=settings.max_unpacked_bytes,
            batch_items=settings.max_batch_items,
        )

    @cached_property
    def model_name(self) -> dict[str, str]:
        return {"name": self.record.name, "version": self.record.version, "sha256": self.record.sha256}

    @cached_property
    def model_description(self) -> dict[str, Any]:
        record = self.record
        thresholds: Mapping[str, Any] = {
            target: asdict(entry) if entry else None for target, entry in record.thresholds.items()
        }
        return self.model_name | {
            "architecture": record.architecture,
            "preprocessing_version": record.preprocessing_version,
            "labels": list(record.labels),
            "input": _tensor("image", "uint8", ["N", SIZE, SIZE], "white ink on black, MNIST geometry"),
            "outputs": [
                _tensor("probabilities", "float32", ["N", 10], "calibrated, given that it is a digit"),
                _tensor("reject", "float32", ["N"], "probability that this is no digit"),
            ],
            "thresholds": thresholds,
            "fields": asdict(self.field_record),
            "calibration": record.calibration,
            "doubt_at": record.doubt_at,
            "training": record.training,
            "metrics": record.metrics,
        }


def _tensor(name: str, kind: str, shape: list[int | str], description: str) -> dict[str, Any]:
    return {"name": name, "type": kind, "shape": shape, "description": description}
