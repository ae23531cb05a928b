"""What happens to a run as a whole: accepted, given its datasets, watched, retried, finished.

`main` takes the run over and builds it; the servicer translates RunService to it. State that must
survive is in the store before anybody is told of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import structlog

from assay.aggregator.pins import dataset_changed
from assay.aggregator.progress import run_state
from assay.aggregator.runbook import RunBook
from assay.aggregator.tasks import Task
from assay.domain.errors import ConflictError
from assay.domain.identity import spec_digest
from assay.domain.report import RunReport, RunState
from assay.domain.snapshot import RunSnapshot
from assay.report.build import metrics_json, report_json
from assay.report.versions import installed_versions
from assay.store import keys
from assay.store.spec import PinnedSpec, decode_run

_LONGEST_QUIET_SECONDS = 10.0
"""A watcher hears of the run at least so often: endpoint times grow without a change."""

_log = structlog.get_logger(__name__)


class AggregatorService:
    """Decides about one run."""

    def __init__(self, book: RunBook) -> None:
        self._book = book
        # Serialises what changes the run as a whole; calls about samples do not take it.
        self._lock = asyncio.Lock()

    async def open(self, run_id: str, spec_json: bytes) -> RunSnapshot:
        """Accepts the run, or recognises it.

        Raises:
            ConflictError: it is here with another spec.
            ConfigError: the spec cannot be read.
        """
        book, run = self._book, decode_run(spec_json)
        digest = spec_digest(run)
        async with self._lock:
            if not book.is_open:
                pinned = PinnedSpec(
                    run_id=run_id, started=_now(), spec_digest=digest, run=run
                )
                await book.accept(pinned)
                _log.info("run opened", run_id=run_id, tasks=len(book.tasks))
            if spec_digest(book.pinned.run) != digest:
                raise ConflictError(
                    f"cannot open run {run_id}: it is here with another spec",
                    cure="start a new run, or go on with the file it was started with",
                )
            await book.refresh(run)
            book.reopen()
        book.changes.note()
        return book.snapshot()

    async def attach_dataset(
        self, dataset: str, models: Sequence[str], digest: str
    ) -> RunSnapshot:
        """Pins a prepared dataset for these models' tasks (none named: all) and opens them.

        Raises:
            ConflictError: another digest is pinned.
            NotFoundError: no such task, or no such prepared dataset.
        """
        async with self._lock:
            for task in self._book.tasks_on(dataset, models):
                await self._attach(task, digest)
        self._book.changes.note()
        return self._book.snapshot()

    async def _attach(self, task: Task, digest: str) -> None:
        if task.opened is None:
            await self._book.attach(task, digest)
            return
        present = task.opened.prepared.manifest.digest
        if present != digest:
            raise dataset_changed(task.id, present, digest)

    async def fail_dataset(
        self, dataset: str, models: Sequence[str], message: str
    ) -> RunSnapshot:
        """Says why these models' tasks on a dataset cannot be had; an attached one stays as it is.

        Raises:
            NotFoundError: no such task.
        """
        async with self._lock:
            for task in self._book.tasks_on(dataset, models):
                if task.opened is None:
                    task.failure = message
        self._book.changes.note()
        return self._book.snapshot()

    async def retry(self) -> RunSnapshot:
        """Makes samples that failed pending again, durably, and lets failed scorers try again.

        Raises:
            NotFoundError: the run was never opened.
        """
        async with self._lock:
            _ = self._book.pinned
            if any(_retriable(task) for task in self._book.tasks.values()):
                await self._book.retry()
            for task in self._book.tasks.values():
                task.failure = ""
            self._book.reopen()
        self._book.changes.note()
        return self._book.snapshot()

    async def finish(self, failure: str) -> RunSnapshot:
        """Closes the run and writes its report.

        Raises:
            NotFoundError: the run was never opened.
            StoreFullError: no room for the report; call again.
        """
        book = self._book
        async with self._lock:
            report = _report(book, failure)
            await book.means.block(_publish, book, report)
            book.finished, book.failure = True, failure
        book.changes.note()
        _log.info("run finished", state=report.state.value, failure=failure)
        return book.snapshot()

    def snapshot(self) -> RunSnapshot:
        """The run at this moment.

        Raises:
            NotFoundError: it was never opened.
        """
        return self._book.snapshot()

    async def watch(self, interval: float) -> AsyncIterator[RunSnapshot]:
        """The run now, and again after changes, at most every `interval` seconds, until it is final.

        Raises:
            NotFoundError: the run was never opened.
        """
        changes = self._book.changes
        while True:
            seen = changes.version
            snapshot = self._book.snapshot()
            yield snapshot
            if snapshot.state is not RunState.RUNNING or self._book.stopping:
                return
            await asyncio.sleep(interval)
            if changes.version == seen:
                await changes.wait(_LONGEST_QUIET_SECONDS)


def _retriable(task: Task) -> bool:
    """Whether asking again may change something: what cannot be sent at all stays as it is."""
    return task.opened is not None and task.opened.ledger.failed_count > 0


def _report(book: RunBook, failure: str) -> RunReport:
    pinned, tasks = book.pinned, list(book.tasks.values())
    return RunReport(
        run_id=pinned.run_id,
        run=pinned.run,
        state=run_state(tasks, finished=True, failure=failure),
        spec_digest=pinned.spec_digest,
        started=pinned.started,
        finished=_now(),
        tasks=tuple(task.report(pinned.run.judge) for task in tasks),
        message=failure,
        provenance=installed_versions(),
    )


def _publish(book: RunBook, report: RunReport) -> None:
    store, run_id = book.means.store, report.run_id
    store.put(keys.result(run_id, "metrics.json"), metrics_json(report))
    store.put(keys.result(run_id, "report.json"), report_json(report))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
