"""The state of one run in one epoch: tasks, queues, what is pinned, and how it is rebuilt from the store.

`service` decides what happens to a run, `desk` what happens to samples; both keep what they know here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog

from assay.aggregator import pins, standing
from assay.aggregator.changes import Changes
from assay.aggregator.committer import Committer
from assay.aggregator.endpoints import EndpointBoard
from assay.aggregator.judging import JudgeBench
from assay.aggregator.leases import LeaseBook
from assay.aggregator.ledger import Place
from assay.aggregator.means import Means
from assay.aggregator.meters import RunMeters
from assay.aggregator.opening import open_pinned
from assay.aggregator.pins import Source
from assay.aggregator.progress import run_snapshot
from assay.aggregator.sources import Former, Hear, Shelf
from assay.aggregator.standing import RUNNING, Standing
from assay.aggregator.takeover import Epoch, begin_epoch
from assay.aggregator.tasks import Task
from assay.domain.completion import Completion
from assay.domain.errors import AssayError, NotFoundError, UnavailableError
from assay.domain.identity import spec_digest
from assay.domain.judge import JUDGE_QUEUE, all_asked
from assay.domain.lease import QueueState
from assay.domain.run import Run
from assay.domain.snapshot import RunSnapshot
from assay.domain.task import TaskId
from assay.store.spec import PinnedSpec

_REANNOUNCE_SECONDS = 5.0
"""How long a restarted aggregator waits for workers that wrote lately to say what they hold."""

_log = structlog.get_logger(__name__)


class RunBook:
    """Everything an aggregator knows of its run."""

    def __init__(self, means: Means, former: Former) -> None:
        """Knows nothing of the run yet.

        Args:
            means: what the aggregator works with.
            former: gives a run that this one goes on from.
        """
        self.means = means
        self.former = former
        self.epoch = Epoch(0, {}, 0)
        self.tasks: dict[TaskId, Task] = {}
        self.boards: dict[str, EndpointBoard] = {}
        self.changes = Changes()
        self.recent: dict[str, set[str]] = {}
        """By model: workers that wrote shortly before this process took the run over."""
        self.followers: dict[TaskId, list[Hear]] = {}
        """Runs that go on from this one's answers, by task."""
        self.bench = JudgeBench(self)
        self.meters = RunMeters(means.clock)
        self.standing = RUNNING
        self.trouble = ""
        """What keeps answers from being kept now, in one sentence; empty: nothing does."""
        self.stopping = False
        self.lost: asyncio.Future[AssayError] = (
            asyncio.get_running_loop().create_future()
        )
        """Set when this process may not acknowledge any more: the reason to end it."""
        self._pinned: PinnedSpec | None = None
        self._queues: dict[str, LeaseBook] = {}
        self._writers: dict[TaskId, asyncio.Task[None]] = {}

    # The run

    @property
    def pinned(self) -> PinnedSpec:
        """What the run was accepted as.

        Raises:
            NotFoundError: it was never opened.
        """
        if self._pinned is None:
            raise NotFoundError(
                f"cannot find run {self.means.run_id}: it is not open here"
            )
        return self._pinned

    @property
    def is_open(self) -> bool:
        """Whether the run was accepted."""
        return self._pinned is not None

    async def begin(self) -> None:
        """Begins an epoch: from now on no former process can add to the run, and its answers are known.

        Raises:
            CorruptError: the run's own files cannot be read.
            StoreUnavailableError, StoreFullError: as the store says.
        """
        means = self.means
        self._pinned = await means.block(pins.read_spec, means)
        await self._begin_epoch(retry=False)
        if self._pinned is None:
            return
        self.standing = await means.block(standing.read, means.store, means.run_id)

    async def load(self) -> None:
        """Rebuilds the run from the store, as far as it is there.

        Raises:
            CorruptError: the run's own files cannot be read, or a run that it goes on from is gone.
            StoreUnavailableError, StoreFullError: as the store says.
        """
        # Of a former try that failed half-way nothing was served.
        await self.stop_writers()
        for task in self.tasks.values():
            if task.opened is not None:
                task.opened.leave()
        if self._pinned is not None:
            self._add_tasks(self._pinned.run)
            await self.bench.open()
            await open_pinned(self)
            for task in self.tasks.values():
                # Of a run that has ended: why is known from nowhere else.
                task.failure = task.failure or self.standing.failures.get(
                    str(task.id), ""
                )

    async def accept(self, pinned: PinnedSpec) -> None:
        """Pins the run's spec and makes its tasks."""
        await self.means.block(pins.pin_spec, self.means, pinned)
        self._pinned = pinned
        self._add_tasks(pinned.run)
        await self.bench.open()

    async def refresh(self, run: Run) -> None:
        """Takes over what is not part of the run's identity: mode, addresses, patience, `nproc`."""
        if run != self.pinned.run:
            pinned = replace(self.pinned, run=run, spec_digest=spec_digest(run))
            await self.means.block(pins.pin_spec, self.means, pinned)
            self._pinned = pinned
        models = {model.key: model for model in run.models}
        for task in self.tasks.values():
            task.run, task.model = run, models[task.id.model]
            if task.score is not None and not task.has_present_score:
                # Its answers were all that was wanted so far.
                task.score = None
        asked = all_asked(run)
        for key, queue in self._queues.items():
            queue.nproc = asked[key].nproc

    async def stand(self, standing_now: Standing) -> None:
        """Says how the run stands from now on, once that is durable."""
        means = self.means
        if standing_now != self.standing:
            await means.block(standing.write, means.store, means.run_id, standing_now)
            self.standing = standing_now

    async def reopen(self) -> None:
        """A run that has ended goes on where something is left to do."""
        await self.stand(RUNNING)
        for task in self.tasks.values():
            self._drop_outdated(task)
            if task.opened is None:
                task.failure = ""

    async def retry(self) -> None:
        """Begins an epoch in which the errors of all former ones count for nothing.

        That the run goes on is written first: who is killed in between has a run that ends again.

        Raises:
            CorruptError, StoreUnavailableError, StoreFullError: not begun, or not to its end; this
                process must go, and the next one rebuilds the run from the store.
        """
        means = self.means
        await means.block(standing.write, means.store, means.run_id, RUNNING)
        await means.block(self.bench.drop_unread)
        await self._begin_anew(retry=True)

    async def adopt(self, run_ids: Sequence[str]) -> None:
        """Goes on from the answers of more runs.

        Raises:
            CorruptError, StoreUnavailableError, StoreFullError: as `retry`.
        """
        adopts = (*self.pinned.adopts, *run_ids)
        pinned = replace(self.pinned, adopts=adopts)
        await self.means.block(pins.pin_spec, self.means, pinned)
        self._pinned = pinned
        if any(task.opened for task in self.tasks.values()):
            await self._begin_anew(retry=False)

    async def _begin_anew(self, *, retry: bool) -> None:
        await self.stop_writers()
        try:
            await self._begin_epoch(retry=retry)
            await self.bench.open()
            await open_pinned(self)
        except AssayError as error:
            self._lose(error)
            raise

    async def stop_writers(self) -> None:
        """Returns when everything that has arrived is written, or cannot be."""
        for task in self.tasks.values():
            if task.opened is not None:
                task.opened.committer.close()
        if self.bench.committer is not None:
            self.bench.committer.close()
        if self._writers:
            await asyncio.wait(self._writers.values())
        self._writers.clear()

    async def leave(self) -> None:
        """Lets the run go: whoever is still at it is told to come again, and finds it taken over anew."""
        self.stopping = True
        self.changes.note()
        await self.stop_writers()
        for task in self.tasks.values():
            if task.opened is not None:
                task.opened.leave()

    def snapshot(self) -> RunSnapshot:
        """The run at this moment.

        Raises:
            NotFoundError: it was never opened.
        """
        return run_snapshot(self)

    def suffer(self, trouble: str) -> None:
        """Says what keeps answers from being kept now, in one sentence; empty: nothing does."""
        if trouble != self.trouble:
            self.trouble = trouble
            self.changes.note()

    # Tasks

    def task(self, task_id: TaskId) -> Task:
        """A task of the run.

        Raises:
            NotFoundError: there is no such task.
        """
        if task_id not in self.tasks:
            raise NotFoundError(f"cannot find task {task_id}: not in the run")
        return self.tasks[task_id]

    def tasks_on(self, dataset: str, models: Sequence[str]) -> list[Task]:
        """The tasks of these models (none named: all) on a dataset.

        Raises:
            NotFoundError: there is none.
        """
        found = [
            task
            for task in self.tasks.values()
            if task.id.dataset == dataset and (not models or task.id.model in models)
        ]
        if not found:
            raise NotFoundError(
                f"cannot find a task on dataset {dataset}: not in the run"
            )
        return found

    def tasks_of(self, model: str) -> list[Task]:
        """The tasks of a model."""
        return [task for task in self.tasks.values() if task.id.model == model]

    def shelf_of(self, task_id: TaskId) -> Shelf:
        """The segments of this run that hold records of a task that count."""
        counts = dict(self.epoch.admitted.get(task_id, {}))
        task = self.tasks.get(task_id)
        committer = task.opened.committer if task and task.opened else None
        if committer is not None and committer.epoch == self.epoch.number:
            counts[committer.epoch] = committer.settled_count
        source = Source(self.means.run_id, task_id)
        return Shelf(source, counts, self.epoch.retry_epoch)

    def shelves_of(self, task: Task) -> list[Shelf]:
        """All segments that hold records of a task that count, by `Place.source`."""
        feeds = task.opened.feeds if task.opened else ()
        return [self.shelf_of(task.id), *(feed.shelf for feed in feeds)]

    # Queues

    def queue(self, model: str) -> LeaseBook:
        """The work of a model of the run, or of its judge."""
        if model not in self._queues:
            self._queues[model] = LeaseBook(
                nproc=all_asked(self.pinned.run)[model].nproc,
                lease_seconds=self.means.lease_seconds,
                clock=self.means.clock,
                expected=self.recent.pop(model, ()),
                grace=_REANNOUNCE_SECONDS,
            )
        return self._queues[model]

    def leased(self, task: TaskId) -> dict[int, float]:
        """Samples of a task that workers of this run hold, and until when."""
        queue = self._queues.get(task.model)
        return queue.leases_of(task) if queue else {}

    def queue_state(self, model: str) -> QueueState:
        """Whether workers of a model may still be needed."""
        if model == JUDGE_QUEUE:
            left = any(not task.state.ended for task in self.tasks.values())
            return (
                QueueState.CLOSED
                if self.standing.ended or not left
                else QueueState.OPEN
            )
        over = self.standing.ended or all(
            task.failure or (task.opened and not task.opened.ledger.open_count)
            for task in self.tasks_of(model)
        )
        return QueueState.CLOSED if over else QueueState.OPEN

    # Told by those that work on its tasks

    def write(self, task: TaskId, committer: Committer) -> None:
        """Lets a task's committer write."""
        self._writers[task] = asyncio.create_task(self._write(committer))

    def committed(
        self, task_id: TaskId, settled: Sequence[tuple[Completion, Place]]
    ) -> None:
        """Notes records of this run that are durable now."""
        task = self.tasks[task_id]
        if task.opened is not None:
            task.opened.committed += len(settled)
            self._drop_outdated(task)
        ordinals = [completion.ordinal for completion, _ in settled]
        self.queue(task_id.model).settle(task_id, ordinals)
        self.meters.count(task_id.model, task_id, (said for said, _ in settled))
        self.changes.note()
        for hear in self.followers.get(task_id, ()):
            for completion, place in settled:
                hear(completion, place)

    def adopted(self, task: Task, completion: Completion, place: Place) -> None:
        """Notes a record of a former execution that is durable now."""
        if task.opened is None or not task.opened.ledger.fold(completion, place):
            return
        self._drop_outdated(task)
        self.queue(task.id.model).settle(task.id, [completion.ordinal])
        self.changes.note()

    # Inside

    async def _write(self, committer: Committer) -> None:
        """Runs a committer; when it may not write any more, this process may not serve."""
        try:
            await committer.run()
        except AssayError as error:
            self._lose(error)
        except Exception:
            _log.exception("a writer failed")
            self._lose(UnavailableError("cannot write any more; see the log"))
            raise

    def _lose(self, error: AssayError) -> None:
        if not self.lost.done():
            self.lost.set_result(error)

    def _drop_outdated(self, task: Task) -> None:
        """An answer that came after its task was scored is scored too, unless the run has ended."""
        if task.score is None or self.standing.ended or task.has_present_score:
            return
        task.score = None
        _log.info("score outdated: an answer came late", task=str(task.id))

    async def _begin_epoch(self, *, retry: bool) -> None:
        means, tasks = self.means, pins.all_ids(self._pinned)
        self.epoch = await means.block(
            lambda: begin_epoch(
                means.store,
                means.run_id,
                tasks,
                transitions=means.leadership.transitions,
                holder=means.holder,
                retry=retry,
            )
        )
        _log.info("epoch begun", epoch=self.epoch.number, retry=retry)

    def _add_tasks(self, run: Run) -> None:
        models = {model.key: model for model in run.models}
        for task_id in pins.task_ids(self._pinned):
            model = models[task_id.model]
            self.tasks[task_id] = Task(task_id, self.means.run_id, run, model)
        self.boards = {key: EndpointBoard() for key in all_asked(run)}
