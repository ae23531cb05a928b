"""What happens to a run as a whole: accepted, given its datasets, watched, retried, finished, closed.

`main` takes the run over and builds it; the servicer translates RunService to it. State that must
survive is in the store before anybody is told of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import structlog

from assay.aggregator import moved, standing
from assay.aggregator.opening import enter, open_task
from assay.aggregator.pins import dataset_changed
from assay.aggregator.progress import end_state, total_counts
from assay.aggregator.runbook import RunBook
from assay.aggregator.standing import Standing
from assay.aggregator.tasks import Task
from assay.domain.errors import (
    ConflictError,
    PermanentError,
    StoreFullError,
    StoreUnavailableError,
    UnavailableError,
)
from assay.domain.identity import spec_digest
from assay.domain.report import RunReport, RunState
from assay.domain.snapshot import RunSnapshot
from assay.domain.task import TaskState
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

    @property
    def busy(self) -> bool:
        """Whether something is being changed about the run as a whole."""
        return self._lock.locked()

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[None]:
        """One change at a time, and none of a run that is let go.

        Raises:
            UnavailableError: it is being let go; call again.
        """
        async with self._lock:
            if self._book.stopping:
                raise UnavailableError("cannot change the run: going away")
            yield

    async def open(
        self,
        run_id: str,
        spec_json: bytes,
        *,
        adopts: Sequence[str] = (),
        keep_ended: bool = False,
    ) -> RunSnapshot:
        """Accepts the run, or recognises it.

        Args:
            run_id: its name.
            spec_json: what it is accepted as.
            adopts: former executions whose answers it goes on from, newest first.
            keep_ended: leave a run that has ended ended, unless something else is asked of it now.

        Raises:
            ConflictError: it is here with another spec.
            ConfigError: the spec cannot be read.
            EndpointChangedError: a model that has answered is asked elsewhere now.
            NotFoundError: a run to go on from is not in the store.
        """
        book, run = self._book, decode_run(spec_json)
        digest = spec_digest(run)
        wanted = [each for each in dict.fromkeys(adopts) if each != run_id]
        async with self._changing():
            for each in wanted:
                moved.check_former(await book.former(each), run)
            if not book.is_open:
                pinned = PinnedSpec(
                    run_id=run_id,
                    started=standing.now(),
                    spec_digest=digest,
                    run=run,
                    adopts=tuple(wanted),
                )
                await book.accept(pinned)
                _log.info("run opened", run_id=run_id, tasks=len(book.tasks))
            if spec_digest(book.pinned.run) != digest:
                raise ConflictError(
                    f"cannot open run {run_id}: it is here with another spec",
                    cure="start a new run, or go on with the file it was started with",
                )
            before = book.pinned.run
            changed = run != replace(before, name=run.name, notes=run.notes)
            moved.check_open(book, run)
            await book.refresh(run)
            if self._goes_on(changed=changed, keep_ended=keep_ended):
                more = [each for each in wanted if each not in book.pinned.adopts]
                if more:
                    await book.adopt(more)
                await book.reopen()
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
        async with self._changing():
            for task in self._book.tasks_on(dataset, models):
                await self._attach(task, digest)
        self._book.changes.note()
        return self._book.snapshot()

    async def _attach(self, task: Task, digest: str) -> None:
        if task.opened is None:
            await open_task(self._book, task, digest)
            await enter(self._book, task)
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
        async with self._changing():
            for task in self._book.tasks_on(dataset, models):
                if task.opened is None:
                    task.failure = message
        self._book.changes.note()
        return self._book.snapshot()

    async def retry(self) -> RunSnapshot:
        """Makes samples that failed pending again, durably, and lets failed scorers try again.

        Raises:
            NotFoundError: the run was never opened.
            PermanentError: it was closed or cancelled.
        """
        async with self._changing():
            _ = self._book.pinned
            self._check_not_dropped()
            tasks = self._book.tasks.values()
            if self._book.bench.ledger.failed_count or any(map(_retriable, tasks)):
                await self._book.retry()
            for task in self._book.tasks.values():
                task.failure = ""
            await self._book.reopen()
        self._book.changes.note()
        return self._book.snapshot()

    async def finish(self, failure: str) -> RunSnapshot:
        """Closes the run and writes its report.

        Raises:
            NotFoundError: the run was never opened.
            StoreFullError: no room for the report; call again.
        """
        book = self._book
        async with self._changing():
            if not book.standing.ended:
                report = _report(book, failure)
                await book.means.block(_publish, book, report)
                await self._end(report.state, report.finished, failure)
                _log.info("run finished", state=report.state.value, failure=failure)
                book.means.ended(report.run_id)
        book.changes.note()
        return book.snapshot()

    async def close(self) -> RunSnapshot:
        """Hands nothing out any more, since another execution follows; `open` lets the run go on.

        Raises:
            NotFoundError: the run was never opened.
        """
        return await self._drop(RunState.SUPERSEDED, {RunState.RUNNING})

    async def cancel(self) -> RunSnapshot:
        """Ends the run for good.

        Raises:
            NotFoundError: the run was never opened.
        """
        going_on = {RunState.RUNNING, RunState.SUPERSEDED}
        return await self._drop(RunState.CANCELLED, going_on)

    async def _drop(self, state: RunState, going_on: set[RunState]) -> RunSnapshot:
        book = self._book
        async with self._changing():
            _ = book.pinned
            if book.standing.state in going_on:
                await self._end(state, standing.now())
                _log.info("run dropped", state=state.value)
        book.changes.note()
        return book.snapshot()

    async def _end(self, state: RunState, finished: str, message: str = "") -> None:
        tasks = self._book.tasks.values()
        await self._book.stand(
            Standing(
                state=state,
                message=message,
                finished=finished,
                counts=total_counts(tasks),
                failures={str(task.id): task.failure for task in tasks if task.failure},
            )
        )

    def _goes_on(self, *, changed: bool, keep_ended: bool) -> bool:
        """Whether a run that is opened again, and has ended, is to go on."""
        match self._book.standing.state:
            case RunState.CANCELLED:
                return False
            case RunState.RUNNING | RunState.SUPERSEDED:
                return True
            case RunState.COMPLETE if keep_ended:
                # Of what was only inferred, scores may be wanted now.
                states = {task.state for task in self._book.tasks.values()}
                return changed and states != {TaskState.COMPLETE}
            case _:
                return changed or not keep_ended

    def _check_not_dropped(self) -> None:
        """Sees that the run may be asked to go on.

        Raises:
            PermanentError: somebody closed or cancelled it.
        """
        run_id, state = self._book.pinned.run_id, self._book.standing.state
        if state is RunState.CANCELLED:
            raise PermanentError(
                f"cannot go on with run {run_id}: it was cancelled",
                cure="to evaluate again, give `fresh` a new word",
            )
        if state is RunState.SUPERSEDED:
            raise PermanentError(
                f"cannot go on with run {run_id}: another execution has taken its place",
                cure="bring its spec back, and it goes on",
            )

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
    if task.opened is None:
        return False
    unjudged = task.score is not None and task.score.unjudged
    return task.opened.ledger.failed_count > 0 or unjudged


def _report(book: RunBook, failure: str) -> RunReport:
    pinned, tasks = book.pinned, list(book.tasks.values())
    return RunReport(
        run_id=pinned.run_id,
        run=pinned.run,
        state=end_state(tasks, failure=failure),
        spec_digest=pinned.spec_digest,
        started=pinned.started,
        finished=standing.now(),
        tasks=tuple(task.report() for task in tasks),
        message=failure,
        provenance=installed_versions(),
        judge=book.bench.tally,
    )


def _publish(book: RunBook, report: RunReport) -> None:
    store, run_id = book.means.store, report.run_id
    # The page of the results before should not stand beside new ones; no result is lost for its sake.
    with suppress(StoreUnavailableError, StoreFullError):
        store.delete(keys.result(run_id, "report.html"))
    store.put(keys.result(run_id, "metrics.json"), metrics_json(report))
    store.put(keys.result(run_id, "report.json"), report_json(report))
