"""The controller's page for Prometheus: what it asks the API server, how fresh its copies are, what it sees.

`main` makes one; the transport, the watches and the loops tell it what they do.
"""

from __future__ import annotations

from collections import Counter as Numbers
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import product
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from assay.controller.jobs import RUN_LABEL, SEAT_LABEL
from assay.controller.watches import Watches
from assay.controller.workloads import Pod
from assay.domain.errors import AssayError, UnavailableError
from assay.kube.transport import Call

_ENDS = ("ended", "gone", UnavailableError.reason.lower())
"""How watches end for the most part."""
_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0)


class ControllerMetrics:
    """What a controller counts as it happens; safe to tell from any thread."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Has counted nothing.

        Args:
            registry: where the numbers show; None: nobody looks at them.
        """
        self.registry = registry or CollectorRegistry()
        self._seconds = Histogram(
            "assay_reconcile_seconds",
            "Seconds of one look at an EvalRun with what followed from it.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._errors = Counter(
            "assay_reconcile_errors",
            "Looks that ended early and are made again.",
            ["reason"],
            registry=self.registry,
        )
        self._restarts = Counter(
            "assay_watch_restarts",
            "Watches that ended, by why.",
            ["resource", "reason"],
            registry=self.registry,
        )
        self._calls = Counter(
            "assay_api_requests",
            "Requests to the API server; status 0: no answer.",
            ["verb", "resource", "status"],
            registry=self.registry,
        )
        # From 0 on: of a counter that begins with 1 the first step is not seen.
        for reason in (UnavailableError.reason, "INTERNAL"):
            self._errors.labels(reason.lower())
        for resource, ends in product(("runs", "jobs", "pods"), _ENDS):
            self._restarts.labels(resource, ends)
        self.leads = False
        """Whether this controller acts."""

    def called(self, call: Call) -> None:
        """Counts one request to the API server."""
        self._calls.labels(call.verb, call.resource, str(call.status)).inc()

    def restarted(self, resource: str, reason: str) -> None:
        """Counts a watch that ended."""
        self._restarts.labels(resource, reason).inc()

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Times one look; what it raises is counted and passed on."""
        start = monotonic()
        try:
            yield
        except AssayError as error:
            self._errors.labels(error.reason.lower()).inc()
            raise
        except Exception:
            self._errors.labels("internal").inc()
            raise
        finally:
            self._seconds.observe(monotonic() - start)


class WatchedCollector(Collector):
    """Reads what the controller sees of its namespace."""

    def __init__(self, watches: Watches, metrics: ControllerMetrics) -> None:
        """Reads nothing yet.

        Args:
            watches: its copies.
            metrics: knows whether it leads.
        """
        self._watches = watches
        self._metrics = metrics

    def describe(self) -> Iterable[Metric]:
        """Nothing: names are not checked against a server that is asked only when scraped."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All families with their samples."""
        leads = self._metrics.leads
        yield GaugeMetricFamily(
            "assay_controller_leads", "1 where this controller acts.", float(leads)
        )
        yield self._ages()
        if leads:
            # One that stands by sees the same, and would count it twice.
            yield self._conditions()
            yield self._states()
            yield self._devices()

    def _ages(self) -> Metric:
        family = GaugeMetricFamily(
            "assay_watch_quiet_seconds",
            "Seconds since the API server last said anything on a watch.",
            labels=["resource"],
        )
        for name, watch in self._watches.by_name().items():
            family.add_metric([name], watch.quiet_seconds)
        return family

    def _conditions(self) -> Metric:
        family = GaugeMetricFamily(
            "assay_evalrun_condition",
            "1 where a condition of an EvalRun is True, with its reason.",
            labels=["evalrun", "type", "reason"],
        )
        for item in self._watches.runs.items():
            for fact in item.told().conditions or ():
                labels = [item.metadata.name, fact.type, fact.reason]
                family.add_metric(labels, float(fact.status == "True"))
        return family

    def _states(self) -> Metric:
        family = GaugeMetricFamily(
            "assay_evalruns", "EvalRuns by state.", labels=["state"]
        )
        states = Numbers(
            item.told().state or "Pending" for item in self._watches.runs.items()
        )
        for state, count in states.items():
            family.add_metric([state], count)
        return family

    def _devices(self) -> Metric:
        family = GaugeMetricFamily(
            "assay_gpus_held",
            "GPUs that pods of a run hold now.",
            labels=["run", "seat", "resource"],
        )
        held: Numbers[tuple[str, str, str]] = Numbers()
        for pod in self._watches.pods.items():
            labels = pod.metadata.labels or {}
            run, seat = labels.get(RUN_LABEL, ""), labels.get(SEAT_LABEL, "")
            for resource, count in devices_of(pod).items():
                held[run, seat, resource] += count
        for key, count in held.items():
            family.add_metric(list(key), count)
        return family


def devices_of(pod: Pod) -> dict[str, int]:
    """Extended resources (their names have a slash) that a scheduled pod holds until it has ended."""
    scheduled = pod.fact("PodScheduled")
    if pod.ended or scheduled is None or scheduled.status != "True":
        return {}
    found: Numbers[str] = Numbers()
    spec = pod.spec
    for container in (*(spec.init_containers or ()), *(spec.containers or ())):
        for name, amount in (container.resources.limits or {}).items():
            if "/" in name:
                found[name] += int(amount)
    return dict(found)
