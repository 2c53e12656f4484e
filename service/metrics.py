"""Prometheus metrics: base units, bounded labels, whole even with several workers.

With several workers each process writes its values into files of one folder (`PROMETHEUS_MULTIPROC_DIR`, set by
`digits serve` before this module is imported) and whichever worker is scraped answers for all.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from service.classifier import ModelRecord
from service.errors import ServiceError
from service.fields import FieldReading
from service.reader import Reading

# Inference and its neighbours take well under the 5 ms at which the client's default buckets begin.
STAGE_BUCKETS = (50e-6, 1e-4, 2e-4, 3.5e-4, 5e-4, 7.5e-4, 1e-3, 1.5e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.5)
REQUEST_BUCKETS = (5e-4, 1e-3, 2e-3, 3e-3, 5e-3, 7.5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
COUNT_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONFIDENCE_BUCKETS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)

# A time stamp beside every counter doubles the exposition, and nobody asks for it.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The metrics of one application, in a registry of their own."""

    def __init__(self) -> None:
        self.multiprocess = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "http_requests", "HTTP requests answered", ["method", "route", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "http_request_duration_seconds",
            "Seconds from the request's head to the end of its answer",
            ["method", "route"],
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "http_requests_in_flight", "HTTP requests being worked on", registry=registry, multiprocess_mode="livesum"
        )
        self.rejected = Counter(
            "digit_requests_rejected", "Requests answered with an error, by its code", ["code"], registry=registry
        )
        self.predictions = Counter(
            "digit_predictions", "Pictures read, by digit (none: no ink)", ["digit", "decision"], registry=registry
        )
        self.reasons = Counter("digit_reasons", "Why readings were not accepted", ["reason"], registry=registry)
        self.confidence = Histogram(
            "digit_confidence",
            "Confidence of the readings that have a digit",
            buckets=CONFIDENCE_BUCKETS,
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "digit_stage_duration_seconds",
            "Seconds a request spent in each stage of the reading",
            ["stage"],
            buckets=STAGE_BUCKETS,
            registry=registry,
        )
        self.batch_items = Histogram(
            "digit_batch_items", "Pictures in a batch request", buckets=COUNT_BUCKETS, registry=registry
        )
        self.inference_batch_size = Histogram(
            "digit_inference_batch_size", "Digits in one run of the network", buckets=COUNT_BUCKETS, registry=registry
        )
        self.model_info = Gauge(
            "digit_model_info",
            "The model that answers; always 1",
            ["name", "version", "sha256"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        if not self.multiprocess:
            for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
                registry.register(collector)

        self._children: dict[tuple[object, ...], Any] = {}

    def _child(self, metric: Counter | Histogram, *labels: object) -> Any:
        """A metric's child for these labels; looking it up in the client takes longer than counting."""
        key = (metric, *labels)
        if key not in self._children:
            self._children[key] = metric.labels(*map(str, labels))
        return self._children[key]

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._child(self.requests, method, route, status).inc()
        self._child(self.request_seconds, method, route).observe(seconds)

    def observe_stages(self, seconds: Mapping[str, float]) -> None:
        """Record how long a request spent in each stage."""
        for stage, duration in seconds.items():
            self._child(self.stage_seconds, stage).observe(duration)

    def count_refusal(self, error: ServiceError) -> None:
        """Count a request that was answered with an error."""
        self._child(self.rejected, error.code).inc()

    def observe_model(self, record: ModelRecord) -> None:
        self.model_info.labels(record.name, record.version, record.sha256).set(1)

    def observe_readings(self, results: Sequence[Reading | ServiceError]) -> None:
        """Count what was read and decided."""
        for result in results:
            if isinstance(result, ServiceError):
                continue
            self._child(self.predictions, "none" if result.digit is None else result.digit, result.decision).inc()
            for reason in result.reasons:
                self._child(self.reasons, reason).inc()
            if result.digit is not None:
                self.confidence.observe(result.confidence)

    def observe_fields(self, results: Sequence[FieldReading | ServiceError]) -> None:
        """Count each digit of the fields under its field's decision, and a field without one as none."""
        for result in results:
            if isinstance(result, ServiceError):
                continue
            if not result.digits:
                self._child(self.predictions, "none", result.decision).inc()
            for digit in result.digits:
                self._child(self.predictions, digit.digit, result.decision).inc()
                self.confidence.observe(digit.confidence)
            for reason in result.reasons:
                self._child(self.reasons, reason).inc()

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All metrics as text, in the form that the `Accept` header asks for, with its content type."""
        encode, content_type = choose_encoder(accept)
        if not self.multiprocess:
            return encode(self._registry), content_type
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return encode(registry), content_type
