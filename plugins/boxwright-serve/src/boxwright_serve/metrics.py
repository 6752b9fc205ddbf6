"""The metrics of a server, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest

from boxwright import Detections
from boxwright_serve.limits import Limits

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The type of Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/)."""
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Counts what a server does.

    Args:
        model: The name of the model.
        limits: The limits of the server.
        in_work: Returns the number of images that wait or are in progress.
    """

    def __init__(self, model: str, limits: Limits, in_work: Callable[[], int]) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Info("boxwright_model", "The model.", registry=registry).info({"name": model})
        Gauge("boxwright_queue_images", "Images that wait or are in progress.", registry=registry).set_function(in_work)
        Gauge("boxwright_queue_limit_images", "The largest number of them.", registry=registry).set(limits.queue)
        self._requests = Counter(
            "boxwright_requests", "Requests by path and status.", ("path", "status"), registry=registry
        )
        self._seconds = Histogram(
            "boxwright_request_seconds", "Time of a request.", ("path",), buckets=_SECONDS, registry=registry
        )
        sizes = sorted({2**power for power in range(10) if 2**power < limits.batch_size} | {limits.batch_size})
        self._batches = Histogram("boxwright_batch_images", "Images of a batch.", buckets=sizes, registry=registry)
        self._predicting = Histogram(
            "boxwright_predict_seconds", "Time of the model for a batch.", buckets=_SECONDS, registry=registry
        )
        self._images = Counter("boxwright_images", "Images that were predicted.", registry=registry)
        self._detections = Counter("boxwright_detections", "Detections in answers.", ("label",), registry=registry)

    def request(self, path: str, status: int, seconds: float) -> None:
        """Counts a request."""
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def batch(self, images: int, seconds: float) -> None:
        """Counts a batch."""
        self._images.inc(images)
        self._batches.observe(images)
        self._predicting.observe(seconds)

    def found(self, detections: Detections) -> None:
        """Counts the detections of an answer."""
        for label in detections.boxes.labels:
            self._detections.labels(label).inc()

    def text(self) -> bytes:
        """Returns all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
