"""The state of one run in one epoch: tasks, queues, what is pinned, and how it is rebuilt from the store.

`service` decides what happens to a run, `desk` what happens to samples; both keep what they know here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import structlog

from assay.aggregator import pins, scores, standing
from assay.aggregator.changes import Changes
from assay.aggregator.committer import Committer, Track
from assay.aggregator.endpoints import EndpointBoard
from assay.aggregator.leases import LeaseBook
from assay.aggregator.ledger import Ledger, Place
from assay.aggregator.means import Means
from assay.aggregator.progress import queue_snapshot, task_snapshot
from assay.aggregator.standing import RUNNING, Standing
from assay.aggregator.takeover import Epoch, admitted_segments, begin_epoch
from assay.aggregator.tasks import OpenTask, Task, limited_too_far
from assay.domain.errors import AssayError, NotFoundError, UnavailableError
from assay.domain.identity import spec_digest, task_digest
from assay.domain.lease import QueueState
from assay.domain.run import Run
from assay.domain.sample import UnscoredReason
from assay.domain.snapshot import RunSnapshot
from assay.domain.task import TaskId
from assay.store.prepared import PreparedDataset
from assay.store.spec import PinnedSpec

_REANNOUNCE_SECONDS = 5.0
"""How long a restarted aggregator waits for workers that wrote lately to say what they hold."""

_log = structlog.get_logger(__name__)


class RunBook:
    """Everything an aggregator knows of its run."""

    def __init__(self, means: Means) -> None:
        self.means = means
        self.epoch = Epoch(0, {}, 0)
        self.tasks: dict[TaskId, Task] = {}
        self.boards: dict[str, EndpointBoard] = {}
        self.changes = Changes()
        self.standing = RUNNING
        self._trouble = ""
        self.stopping = False
        self.lost: asyncio.Future[AssayError] = (
            asyncio.get_running_loop().create_future()
        )
        """Set when this process may not acknowledge any more: the reason to end it."""
        self._pinned: PinnedSpec | None = None
        self._queues: dict[str, LeaseBook] = {}
        self._recent: dict[str, set[str]] = {}
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

    async def restore(self) -> None:
        """Begins an epoch and rebuilds the run from the store, as far as it is there.

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
        self._add_tasks(self._pinned.run)
        await self._attach_all()

    async def accept(self, pinned: PinnedSpec) -> None:
        """Pins the run's spec and makes its tasks."""
        await self.means.block(pins.pin_spec, self.means, pinned)
        self._pinned = pinned
        self._add_tasks(pinned.run)

    async def refresh(self, run: Run) -> None:
        """Takes over what is not part of the run's identity: mode, addresses, patience, `nproc`."""
        if run != self.pinned.run:
            pinned = replace(self.pinned, run=run, spec_digest=spec_digest(run))
            await self.means.block(pins.pin_spec, self.means, pinned)
            self._pinned = pinned
        models = {model.key: model for model in run.models}
        for task in self.tasks.values():
            task.run, task.model = run, models[task.id.model]
            if task.score is not None and not task.is_answered_by(task.score):
                # Its answers were all that was wanted so far.
                task.score = None
        for key, queue in self._queues.items():
            queue.nproc = models[key].nproc

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
            if task.opened is None:
                task.failure = ""

    async def retry(self) -> None:
        """Begins an epoch in which the errors of all former ones count for nothing.

        Raises:
            CorruptError, StoreUnavailableError, StoreFullError: not begun, or not to its end; this
                process must go, and the next one rebuilds the run from the store.
        """
        await self.stop_writers()
        try:
            await self._begin_epoch(retry=True)
            await self._attach_all()
        except AssayError as error:
            self._lose(error)
            raise

    async def stop_writers(self) -> None:
        """Returns when everything that has arrived is written, or cannot be."""
        for task in self.tasks.values():
            if task.opened is not None:
                task.opened.committer.close()
        if self._writers:
            await asyncio.wait(self._writers.values())
        self._writers.clear()

    def snapshot(self) -> RunSnapshot:
        """The run at this moment.

        Raises:
            NotFoundError: it was never opened.
        """
        pinned, now = self.pinned, self.means.clock()
        tasks = list(self.tasks.values())
        return RunSnapshot(
            run_id=pinned.run_id,
            state=self.standing.state,
            tasks=tuple(task_snapshot(t, self.queue(t.id.model)) for t in tasks),
            queues=tuple(
                queue_snapshot(
                    self.queue_state(name),
                    self.queue(name),
                    self.tasks_of(name),
                    board.view(),
                    name=name,
                    now=now,
                )
                for name, board in self.boards.items()
            ),
            epoch=self.epoch.number,
            version=self.changes.version,
            message=self.standing.message or self._trouble,
            started=pinned.started,
            finished=self.standing.finished,
        )

    def suffer(self, trouble: str) -> None:
        """What keeps answers from being kept now, in one sentence; empty: nothing does."""
        if trouble != self._trouble:
            self._trouble = trouble
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

    async def attach(self, task: Task, digest: str) -> None:
        """Pins a prepared dataset for a task and opens it, with all that is in the store of it.

        Raises:
            ConflictError: another digest is pinned.
            NotFoundError: the dataset is not prepared in the store.
        """
        await self._open_task(task, digest)
        await self._enter(task)

    async def publish_score(self, task: Task) -> None:
        """Puts a task's score where a person looks for it."""
        score, withheld = task.score, task.hides_files
        if score is not None:
            await self.means.block(
                lambda: scores.publish(
                    self.means.store,
                    self.means.run_id,
                    task.id,
                    score,
                    withheld=withheld,
                )
            )

    def segments_of(self, task: Task) -> dict[int, int]:
        """Epoch -> how many of its segments hold records of the task that count."""
        counts = dict(self.epoch.admitted.get(task.id, {}))
        if task.opened is not None and task.opened.committer.settled_count:
            counts[self.epoch.number] = task.opened.committer.settled_count
        return counts

    # Queues

    def queue(self, model: str) -> LeaseBook:
        """The work of a model of the run."""
        if model not in self._queues:
            models = self.pinned.run.models
            self._queues[model] = LeaseBook(
                nproc=next(each.nproc for each in models if each.key == model),
                lease_seconds=self.means.lease_seconds,
                clock=self.means.clock,
                expected=self._recent.pop(model, ()),
                grace=_REANNOUNCE_SECONDS,
            )
        return self._queues[model]

    def queue_state(self, model: str) -> QueueState:
        """Whether workers of a model may still be needed."""
        over = self.standing.ended or all(
            task.failure or (task.opened and not task.opened.ledger.open_count)
            for task in self.tasks_of(model)
        )
        return QueueState.CLOSED if over else QueueState.OPEN

    # Inside

    async def _attach_all(self) -> None:
        """Opens every task whose dataset is pinned; all are replayed before anything is handed out."""
        pinned = []
        for task in self.tasks.values():
            digest = await self.means.block(pins.dataset_of, self.means, task.id)
            if not digest:
                continue
            try:
                await self._open_task(task, digest)
            except NotFoundError as error:
                # The cache was emptied, or the run's folder came from elsewhere: prepared again, it fits.
                _log.warning("dataset gone", task=str(task.id), error=str(error))
                continue
            pinned.append(task)
        for task in pinned:
            await self._enter(task)

    async def _open_task(self, task: Task, digest: str) -> None:
        run, means = self.pinned.run, self.means
        prepared = await means.block(
            PreparedDataset.open, means.store, task.id.dataset, digest
        )
        task.failure = limited_too_far(prepared.manifest, run)
        if task.failure:
            return
        await means.block(pins.pin_dataset, means, task.id, digest)
        total = min(len(prepared.sample_ids), run.limit or len(prepared.sample_ids))
        barred = dict.fromkeys(prepared.invalid, UnscoredReason.PICTURE_INVALID)
        ledger = Ledger(total, barred, self.epoch.retry_epoch)
        await means.block(self._replay, task.id, ledger)
        committer = Committer(
            Track(means.run_id, task.id, self.epoch.number),
            ledger,
            store=means.store,
            leadership=means.leadership,
            executor=means.executor,
            committed=self._committed,
        )
        identity = task_digest(task.model, digest, run.limit, run.fresh)
        task.opened = OpenTask(prepared, identity, ledger, committer)

    async def _enter(self, task: Task) -> None:
        """Finds a task's score, or hands its open samples out; leaves a task that cannot be opened."""
        opened, means = task.opened, self.means
        if opened is None:
            return
        score = await means.block(
            scores.find,
            means.store,
            means.run_id,
            task.id,
            "" if self.standing.ended else task.fingerprint,
        )
        # What a run ended with stays, whatever answer came late.
        ended = self.standing.ended
        answers = score is not None and (ended or task.is_answered_by(score))
        task.score = score if answers else None
        await self.publish_score(task)
        ledger = opened.ledger
        self.queue(task.id.model).open(task.id, ledger.total, ledger.is_open)
        self._writers[task.id] = asyncio.create_task(self._write(opened.committer))
        _log.info(
            "task opened",
            task=str(task.id),
            samples=ledger.total,
            open=ledger.open_count,
            scored=task.score is not None,
        )

    def _replay(self, task_id: TaskId, ledger: Ledger) -> None:
        """Feeds the ledger what was admitted, and notes which workers wrote lately."""
        counts = self.epoch.admitted.get(task_id, {})
        means, now = self.means, int(time.time())
        recent: set[str] = set()
        for segment in admitted_segments(means.store, means.run_id, task_id, counts):
            if now - segment.written <= means.lease_seconds:
                recent.update(segment.workers)
            for placed in segment.records:
                place = Place(segment.epoch, segment.seq, placed.offset)
                ledger.fold(placed.record.completion, place)
        if ledger.open_count:
            self._recent.setdefault(task_id.model, set()).update(recent)

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

    def _committed(self, task_id: TaskId, ordinals: Sequence[int]) -> None:
        task = self.tasks[task_id]
        if task.opened is not None:
            task.opened.committed += len(ordinals)
            self._drop_outdated(task)
        self.queue(task_id.model).settle(task_id, ordinals)
        self.changes.note()

    def _drop_outdated(self, task: Task) -> None:
        """An answer that came after its task was scored is scored too, unless the run has ended."""
        if task.score is None or self.standing.ended:
            return
        if not task.is_answered_by(task.score):
            task.score = None
            _log.info("score outdated: an answer came late", task=str(task.id))

    async def _begin_epoch(self, *, retry: bool) -> None:
        means, tasks = self.means, list(pins.task_ids(self._pinned))
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
            self.tasks[task_id] = Task(task_id, run, models[task_id.model])
        self.boards = {model.key: EndpointBoard() for model in run.models}
