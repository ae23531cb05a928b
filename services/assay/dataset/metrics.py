"""What the dataset service counts for Prometheus: preparations, by how they ended and how long they took."""

from __future__ import annotations

import asyncio
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, Histogram

from assay.domain.errors import AssayError

_SECONDS = (0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)


class PrepareMetrics:
    """Told of each preparation as it begins and ends; those that share one count once."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Has counted nothing.

        Args:
            registry: where the numbers show; None: nobody looks at them.
        """
        registry = registry or CollectorRegistry()
        self._running = Gauge(
            "assay_datasets_preparing",
            "Datasets that are being fetched or prepared now.",
            registry=registry,
        )
        self._seconds = Histogram(
            "assay_dataset_prepare_seconds",
            "Seconds until a dataset was ready, or could not be had; one that was ready counts as well.",
            ["result"],
            buckets=_SECONDS,
            registry=registry,
        )

    def began(self) -> None:
        """Counts one that begins."""
        self._running.inc()

    def ended(self, task: asyncio.Task[Any], seconds: float) -> None:
        """Counts one that ended."""
        self._running.dec()
        self._seconds.labels(_result(task)).observe(seconds)


def _result(task: asyncio.Task[Any]) -> str:
    if task.cancelled():
        return "cancelled"
    error = task.exception()
    if error is None:
        return "ready"
    return error.reason.lower() if isinstance(error, AssayError) else "internal"
