"""The aggregator's page for Prometheus: what it holds of its runs at the moment it is asked.

`main` registers it. Counters begin anew with each process, as Prometheus expects; gauges are the same numbers
that drivers and reports see. The series of a run that has ended go after `GRACE_SECONDS`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from assay.aggregator.meters import ANSWERED
from assay.aggregator.runbook import RunBook
from assay.domain.judge import JUDGE_QUEUE, all_asked
from assay.domain.report import RunState
from assay.domain.sample import UnscoredReason
from assay.domain.task import TaskId, TaskState

GRACE_SECONDS = 900.0
"""Long enough for a few scrapes, and for an alert to see how the run ended."""

_TASK = ("run", "model_name", "dataset")
_QUEUE = ("run", "model_name", "stage")
_ASKED = ("run", "model_name", "dataset", "stage")


_G, _C, _H = GaugeMetricFamily, CounterMetricFamily, HistogramMetricFamily
_FAMILIES: dict[str, tuple[type[Any], str, str, tuple[str, ...]]] = {
    "run_state": (
        _G,
        "assay_run_state",
        "1 for the state a run is in.",
        ("run", "state"),
    ),
    "trouble": (
        _G,
        "assay_run_store_trouble",
        "1 while the store takes no answers of a run.",
        ("run",),
    ),
    "threshold": (
        _G,
        "assay_coverage_threshold",
        "Share of samples that must have a verdict for a score to be shown.",
        ("run",),
    ),
    "task_state": (
        _G,
        "assay_task_state",
        "1 for the state a task is in.",
        (*_TASK, "state"),
    ),
    "samples": (
        _G,
        "assay_samples",
        "Samples by what has become of them.",
        (*_TASK, "state"),
    ),
    "unscored": (
        _G,
        "assay_samples_unscored",
        "Samples without a verdict, by the reason.",
        (*_TASK, "reason"),
    ),
    "coverage": (
        _G,
        "assay_coverage_ratio",
        "Share of a task's samples that have a verdict.",
        _TASK,
    ),
    "phases": (
        _C,
        "assay_phase_seconds",
        "Seconds that a task was in each state.",
        (*_TASK, "state"),
    ),
    "completions": (
        _C,
        "assay_completions",
        "Records that became durable: answered, or the reason there is no answer.",
        (*_ASKED, "result"),
    ),
    "attempts": (
        _C,
        "assay_requests",
        "Requests behind those records, those made again included.",
        _ASKED,
    ),
    "tokens": (
        _C,
        "assay_tokens",
        "Tokens of those records, as endpoints counted them.",
        (*_ASKED, "kind"),
    ),
    "seconds": (
        _H,
        "assay_request_seconds",
        "Seconds of the last request of each record, connect to last byte.",
        _ASKED,
    ),
    "open": (
        _G,
        "assay_queue_open",
        "Samples or judge requests that wait for an answer.",
        _QUEUE,
    ),
    "age": (
        _G,
        "assay_queue_age_seconds",
        "Seconds since the last durable answer while others wait; 0 where none does.",
        _QUEUE,
    ),
    "workers": (_G, "assay_workers", "Workers heard of within a lease.", _QUEUE),
    "limit": (
        _G,
        "assay_in_flight_limit",
        "Requests that may be in flight over all workers (nproc).",
        _QUEUE,
    ),
    "issued": (_C, "assay_leases_issued", "Leases that were handed out.", _QUEUE),
    "expired": (_C, "assay_leases_expired", "Leases whose worker fell silent.", _QUEUE),
    "usable": (
        _G,
        "assay_endpoint_usable",
        "Whether anybody gets answers of an endpoint; the reason if not.",
        (*_QUEUE, "reason"),
    ),
    "unusable": (
        _G,
        "assay_endpoint_unusable_seconds",
        "How long an endpoint has given no answers; 0: it does.",
        _QUEUE,
    ),
    "judged": (
        _G,
        "assay_judge_requests",
        "Judge requests of a run, each once: answered, failed, waiting.",
        ("run", "model_name", "result"),
    ),
}
"""What is served, by what it is called here: kind, name, meaning, labels."""


class Families:
    """The families of one scrape; each run adds its samples."""

    def __init__(self) -> None:
        """Has no samples."""
        self._made = {
            each: kind(name, text, labels=labels)
            for each, (kind, name, text, labels) in _FAMILIES.items()
        }

    def __getattr__(self, name: str) -> Any:
        """A family by what it is called here."""
        return self._made[name]

    def all(self) -> Iterable[Metric]:
        """What a scrape is given."""
        return self._made.values()


class RunsCollector(Collector):
    """Reads the runs that an aggregator holds."""

    def __init__(
        self,
        books: Callable[[], Iterable[RunBook]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reads nothing yet.

        Args:
            books: the runs that are held now.
            clock: seconds that never go back.
        """
        self._books = books
        self._clock = clock
        self._ended: dict[str, float] = {}
        """When a run was first found ended."""

    def describe(self) -> Iterable[Metric]:
        """The families without samples: names are checked when it is registered."""
        return Families().all()

    def collect(self) -> Iterator[Metric]:
        """All families with their samples."""
        families = Families()
        for book in self._books():
            if book.is_open and self._is_shown(book):
                _add_run(families, book)
                _add_tasks(families, book)
                _add_asked(families, book)
                _add_queues(families, book)
        yield from families.all()

    def _is_shown(self, book: RunBook) -> bool:
        run_id = book.pinned.run_id
        if not book.standing.ended:
            self._ended.pop(run_id, None)
            return True
        since = self._ended.setdefault(run_id, self._clock())
        return self._clock() - since < GRACE_SECONDS


def _add_run(families: Families, book: RunBook) -> None:
    run_id, run = book.pinned.run_id, book.pinned.run
    for state in RunState:
        present = float(state is book.standing.state)
        families.run_state.add_metric([run_id, state.value.lower()], present)
    families.trouble.add_metric([run_id], float(bool(book.trouble)))
    families.threshold.add_metric([run_id], run.coverage_threshold)
    tally = book.bench.tally
    if tally is not None and run.judge_model is not None:
        judge = run.judge_model.served_name
        counted = {
            "answered": tally.answers,
            "failed": tally.failures,
            "waiting": book.bench.ledger.open_count,
        }
        for result, count in counted.items():
            families.judged.add_metric([run_id, judge, result], count)


def _add_tasks(families: Families, book: RunBook) -> None:
    run_id = book.pinned.run_id
    book.meters.mark(book.tasks.values())
    for task in book.tasks.values():
        labels = [run_id, task.id.model, task.id.dataset]
        counts = task.counts(book.queue(task.id.model).leased_count(task.id))
        for state, count in asdict(counts).items():
            if state != "total":
                families.samples.add_metric([*labels, state], count)
        unscored = task.unscored_by_reason()
        for reason in UnscoredReason:
            found = unscored.get(reason, 0)
            families.unscored.add_metric([*labels, reason.value], found)
        if counts.total:
            families.coverage.add_metric(labels, counts.scored / counts.total)
        for each in TaskState:
            present = float(each is task.state)
            families.task_state.add_metric([*labels, each.value.lower()], present)
        for phase, seconds in book.meters.phases.get(task.id, {}).items():
            families.phases.add_metric([*labels, phase.value.lower()], seconds)


def _add_asked(families: Families, book: RunBook) -> None:
    for task, asked in book.meters.asked.items():
        labels = [book.pinned.run_id, *_names(book, task)]
        # From 0 on: of a counter that begins with 1 the first step is not seen.
        for result in (ANSWERED, *UnscoredReason):
            count = asked.results[result]
            families.completions.add_metric([*labels, result], count)
        families.attempts.add_metric(labels, asked.attempts)
        families.tokens.add_metric([*labels, "prompt"], asked.prompt_tokens)
        families.tokens.add_metric([*labels, "completion"], asked.completion_tokens)
        families.seconds.add_metric(
            labels, asked.seconds.buckets(), asked.seconds.total
        )


def _names(book: RunBook, task: TaskId) -> list[str]:
    """Model, dataset and stage of what was asked."""
    if task == book.bench.task:
        return [_judge_name(book), "", "judge"]
    return [task.model, task.dataset, "infer"]


def _judge_name(book: RunBook) -> str:
    judge = book.pinned.run.judge_model
    return judge.served_name if judge else ""


def _add_queues(families: Families, book: RunBook) -> None:
    asked = all_asked(book.pinned.run)
    for name in book.boards:
        # Nobody else looks where the only worker fell silent.
        book.queue(name).expire()
    for view in book.snapshot().queues:
        queue, is_judge = book.queue(view.queue), view.queue == JUDGE_QUEUE
        labels = [
            book.pinned.run_id,
            _judge_name(book) if is_judge else view.queue,
            "judge" if is_judge else "infer",
        ]
        quiet = book.meters.quiet_seconds(view.queue, view.open_count)
        families.open.add_metric(labels, view.open_count)
        families.age.add_metric(labels, quiet)
        families.workers.add_metric(labels, view.workers)
        families.limit.add_metric(labels, asked[view.queue].nproc)
        families.issued.add_metric(labels, queue.issued)
        families.expired.add_metric(labels, queue.expired)
        if view.endpoint is not None:
            said, down = view.endpoint, not view.endpoint.usable
            families.usable.add_metric([*labels, said.reason], float(said.usable))
            families.unusable.add_metric(labels, said.for_seconds * down)
