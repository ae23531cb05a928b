"""The aggregator's page for Prometheus: what it holds of its runs at the moment it is asked.

`main` registers it. Counters begin anew with each process, as Prometheus expects; gauges are the same numbers
that drivers and reports see. The series of a run that has ended go after `GRACE_SECONDS`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict

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


class Families:
    """The families of one scrape; each run adds its samples."""

    def __init__(self) -> None:
        """Has no samples."""
        gauge, counter = GaugeMetricFamily, CounterMetricFamily
        self.run_state = gauge(
            "assay_run_state",
            "1 for the state a run is in.",
            labels=("run", "state"),
        )
        self.trouble = gauge(
            "assay_run_store_trouble",
            "1 while the store takes no answers of a run.",
            labels=("run",),
        )
        self.threshold = gauge(
            "assay_coverage_threshold",
            "Share of samples that must have a verdict for a score to be shown.",
            labels=("run",),
        )
        self.task_state = gauge(
            "assay_task_state",
            "1 for the state a task is in.",
            labels=(*_TASK, "state"),
        )
        self.samples = gauge(
            "assay_samples",
            "Samples by what has become of them.",
            labels=(*_TASK, "state"),
        )
        self.unscored = gauge(
            "assay_samples_unscored",
            "Samples without a verdict, by the reason.",
            labels=(*_TASK, "reason"),
        )
        self.coverage = gauge(
            "assay_coverage_ratio",
            "Share of a task's samples that have a verdict.",
            labels=_TASK,
        )
        self.phases = counter(
            "assay_phase_seconds",
            "Seconds that a task was in each state.",
            labels=(*_TASK, "state"),
        )
        self.completions = counter(
            "assay_completions",
            "Records that became durable: answered, or the reason there is no answer.",
            labels=(*_ASKED, "result"),
        )
        self.attempts = counter(
            "assay_requests",
            "Requests behind those records, those made again included.",
            labels=_ASKED,
        )
        self.tokens = counter(
            "assay_tokens",
            "Tokens of those records, as endpoints counted them.",
            labels=(*_ASKED, "kind"),
        )
        self.seconds = HistogramMetricFamily(
            "assay_request_seconds",
            "Seconds of the last request of each record, connect to last byte.",
            labels=_ASKED,
        )
        self.open = gauge(
            "assay_queue_open",
            "Samples or judge requests that wait for an answer.",
            labels=_QUEUE,
        )
        self.age = gauge(
            "assay_queue_age_seconds",
            "Seconds since the last durable answer while others wait; 0 where none does.",
            labels=_QUEUE,
        )
        self.workers = gauge(
            "assay_workers", "Workers heard of within a lease.", labels=_QUEUE
        )
        self.limit = gauge(
            "assay_in_flight_limit",
            "Requests that may be in flight over all workers (nproc).",
            labels=_QUEUE,
        )
        self.issued = counter(
            "assay_leases_issued", "Leases that were handed out.", labels=_QUEUE
        )
        self.expired = counter(
            "assay_leases_expired",
            "Leases whose worker fell silent.",
            labels=_QUEUE,
        )
        self.usable = gauge(
            "assay_endpoint_usable",
            "Whether anybody gets answers of an endpoint; the reason if not.",
            labels=(*_QUEUE, "reason"),
        )
        self.unusable = gauge(
            "assay_endpoint_unusable_seconds",
            "How long an endpoint has given no answers; 0: it does.",
            labels=_QUEUE,
        )
        self.judged = gauge(
            "assay_judge_requests",
            "Judge requests of a run, each once: answered, failed, waiting.",
            labels=("run", "model_name", "result"),
        )

    def all(self) -> Iterable[Metric]:
        """What a scrape is given."""
        found: list[Metric] = list(vars(self).values())
        return found


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
