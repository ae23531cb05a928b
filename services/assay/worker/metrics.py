"""What one worker does, for Prometheus to scrape from its pod; `infer/main.py` registers it.

What became of samples is the aggregator's to tell: it counts what is durable. This is about requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from assay.domain.sample import UnscoredReason
from assay.worker.loop import WorkerSnapshot

_LABELS = ("run", "model_name", "stage")


class WorkerCollector(Collector):
    """Reads a worker's snapshot when it is scraped."""

    def __init__(
        self,
        snapshot: Callable[[], WorkerSnapshot],
        *,
        run_id: str,
        model: str,
        stage: str,
    ) -> None:
        """Reads nothing yet.

        Args:
            snapshot: what the worker does now.
            run_id: its run.
            model: the key of the model it asks, or the judge's name.
            stage: `infer` or `judge`.
        """
        self._snapshot = snapshot
        self._labels = [run_id, model, stage]

    def describe(self) -> Iterable[Metric]:
        """Nothing: the worker may not have begun."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All families with their samples."""
        now, labels = self._snapshot(), self._labels
        gauges = {
            "in_flight": ("Requests in flight.", now.in_flight),
            "in_flight_limit": ("Requests that may be in flight now.", now.limit),
            "held": ("Samples leased and not acknowledged.", now.held),
            "draining": ("1 while it takes no more samples.", float(now.draining)),
        }
        for name, (text, value) in gauges.items():
            gauge = GaugeMetricFamily(f"assay_worker_{name}", text, labels=_LABELS)
            gauge.add_metric(labels, value)
            yield gauge
        requests = CounterMetricFamily(
            "assay_worker_requests",
            "Requests that ended: answered, the reason it was not, or what ails the whole endpoint.",
            labels=(*_LABELS, "result"),
        )
        # From 0 on: of a counter that begins with 1 the first step is not seen.
        reasons = {reason.value: 0 for reason in UnscoredReason}
        counted = {"answered": 0, **reasons, **now.results}
        for result, count in counted.items():
            requests.add_metric([*labels, result], count)
        yield requests
