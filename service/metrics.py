"""Prometheus metrics: base units, bounded labels, whole even with several workers.

With several workers each process writes its values into files of one folder (`PROMETHEUS_MULTIPROC_DIR`, set by
`digits serve` before this module is imported) and whichever worker is scraped answers for all.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from service.classifier import ModelRecord
from service.errors import ServiceError
from service.fields import FieldReading
from service.reader import Reading, Timings
from service.tallies import Counter, Gauge, Histogram, Info, Tally

# Inference and its neighbours take well under the 5 ms at which the client's default buckets begin.
STAGE_BUCKETS = (50e-6, 1e-4, 2e-4, 3.5e-4, 5e-4, 7.5e-4, 1e-3, 1.5e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.5)
REQUEST_BUCKETS = (5e-4, 1e-3, 2e-3, 3e-3, 5e-3, 7.5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
COUNT_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONFIDENCE_BUCKETS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)


class Metrics:
    """The metrics of one application, in a registry of their own."""

    def __init__(self) -> None:
        named = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        self._folder = folder = None if named is None else Path(named)
        self.requests = Counter("http_requests", "HTTP requests answered", ("method", "route", "status"), folder)
        self.request_seconds = Histogram(
            "http_request_duration_seconds",
            "Seconds from the request's head to the end of its answer",
            REQUEST_BUCKETS,
            ("method", "route"),
            folder,
        )
        self.in_flight = Gauge("http_requests_in_flight", "HTTP requests being worked on", folder=folder)
        self.rejected = Counter(
            "digit_requests_rejected", "Requests answered with an error, by its code", ("code",), folder
        )
        self.predictions = Counter(
            "digit_predictions", "Pictures read, by digit (none: no ink)", ("digit", "decision"), folder
        )
        self.reasons = Counter("digit_reasons", "Why readings were not accepted", ("reason",), folder)
        self.confidence = Histogram(
            "digit_confidence", "Confidence of the readings that have a digit", CONFIDENCE_BUCKETS, folder=folder
        )
        self.stage_seconds = Histogram(
            "digit_stage_duration_seconds",
            "Seconds a request spent in each stage of the reading",
            STAGE_BUCKETS,
            ("stage",),
            folder,
        )
        self.batch_items = Histogram("digit_batch_items", "Pictures in a batch request", COUNT_BUCKETS, folder=folder)
        self.inference_batch_size = Histogram(
            "digit_inference_batch_size", "Digits in one run of the network", COUNT_BUCKETS, folder=folder
        )
        self.model_info = Info(
            "digit_model_info", "The model that answers; always 1", ("name", "version", "sha256"), folder
        )
        self._registry = CollectorRegistry()
        if folder is not None:
            MultiProcessCollector(self._registry, str(folder))  # type: ignore[no-untyped-call]
            return
        for tally in vars(self).values():
            if isinstance(tally, Tally):
                self._registry.register(tally)
        for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
            self._registry.register(collector)

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self.requests.inc(method, route, status)
        self.request_seconds.observe(seconds, method, route)

    def observe_refusals(self, code: str, route: str, status: int, times: int) -> None:
        """Count so many POST requests that were answered with this error as they came."""
        self.rejected.inc(code, times=times)
        self.requests.inc("POST", route, status, times=times)
        self.request_seconds.observe(0.0, "POST", route, times=times)

    def observe_stages(self, timings: Timings) -> None:
        """Record how long a request spent in each stage."""
        observe = self.stage_seconds.observe
        observe(timings.read, "read")
        observe(timings.decode, "decode")
        observe(timings.normalize, "normalize")
        observe(timings.queue, "queue")
        observe(timings.infer, "infer")

    def count_refusal(self, code: str) -> None:
        """Count a request that was answered with an error of this code."""
        self.rejected.inc(code)

    def observe_model(self, record: ModelRecord) -> None:
        self.model_info.tell(record.name, record.version, record.sha256)

    def observe_readings(self, results: Sequence[Reading | ServiceError]) -> None:
        """Count what was read and decided."""
        for result in results:
            if isinstance(result, ServiceError):
                continue
            self.predictions.inc("none" if result.digit is None else result.digit, result.decision)
            for reason in result.reasons:
                self.reasons.inc(reason)
            if result.digit is not None:
                self.confidence.observe(result.confidence)

    def observe_fields(self, results: Sequence[FieldReading | ServiceError]) -> None:
        """Count each digit of the fields under its field's decision, and a field without one as none."""
        for result in results:
            if isinstance(result, ServiceError):
                continue
            if not result.digits:
                self.predictions.inc("none", result.decision)
            for digit in result.digits:
                self.predictions.inc(digit.digit, result.decision)
                self.confidence.observe(digit.confidence)
            for reason in result.reasons:
                self.reasons.inc(reason)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All metrics as text, in the form that the `Accept` header asks for, with its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
