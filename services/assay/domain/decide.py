"""The brain of a run: what to start, restart and finish, as a pure function of what is observed.

Drivers call it whenever something happened: `local/` carries the actions out with processes on one
machine. It holds no state: asked twice with the same world it says the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from assay.domain.actions import (
    Action,
    AttachDataset,
    EnsureWorkers,
    FailDataset,
    FinishRun,
    Leave,
    OpenRun,
    Outcome,
    PrepareDataset,
    RetryUnscored,
    Service,
    StartScorer,
    StartService,
    StopScorer,
    StopWorkers,
    Wait,
)
from assay.domain.judge import JUDGE_QUEUE, is_judged, judges_of
from assay.domain.lease import QueueState
from assay.domain.observed import (
    ABSENT,
    UNPREPARED,
    Observed,
    PartView,
    Preparation,
    PreparationState,
    Presence,
)
from assay.domain.report import RunState
from assay.domain.restarts import standing
from assay.domain.run import Mode, PicturePolicy, Run
from assay.domain.snapshot import QueueSnapshot, RunSnapshot, TaskSnapshot
from assay.domain.task import TaskId, TaskState

PREPARE_ATTEMPTS = 3
"""Tries of a preparation whose source does not answer; the dataset service backs off within each."""

_PREPARE_DELAY = 5.0


def decide(run: Run, observed: Observed) -> tuple[Action, ...]:
    """What is to be done now; ends with `Wait`, or is one `Leave`."""
    stop = _reason_to_leave(run, observed)
    if stop is not None:
        return (stop,)
    return _Plan(run, observed).actions()


def _reason_to_leave(run: Run, observed: Observed) -> Leave | None:
    if observed.fatal:
        return Leave(Outcome.FAILED, observed.fatal)
    snapshot = observed.snapshot
    if (
        snapshot is not None
        and observed.opened
        and snapshot.state is not RunState.RUNNING
        and not _to_retry(run, observed, snapshot)
    ):
        return Leave(Outcome.FINISHED)
    given_up = standing("the aggregator", _service(observed, Service.AGGREGATOR))
    if given_up.given_up:
        return Leave(Outcome.FAILED, given_up.given_up)
    return None


def _to_retry(run: Run, observed: Observed, snapshot: RunSnapshot) -> bool:
    """Whether the user's wish to go on is still to be passed on."""
    if observed.retried or run.mode is Mode.EVAL:
        # Who scores asks nothing: a failed sample stays as it is.
        return False
    unfinished = {RunState.BELOW_COVERAGE, RunState.FAILED}
    return observed.retry_asked or (observed.going_on and snapshot.state in unfinished)


def _service(observed: Observed, service: Service) -> PartView:
    return observed.services.get(service, ABSENT)


class _Plan:
    """One decision in the making: the actions so far and the next moment something falls due."""

    def __init__(self, run: Run, observed: Observed) -> None:
        self._run = run
        self._observed = observed
        self._wakes: list[float] = []
        snapshot = observed.snapshot
        self._tasks = {task.id: task for task in snapshot.tasks} if snapshot else {}
        self._queues = {q.queue: q for q in snapshot.queues} if snapshot else {}
        self._listening = (
            observed.opened
            and _service(observed, Service.AGGREGATOR).presence is Presence.READY
        )
        """Whether calls about the run can be made."""

    def actions(self) -> tuple[Action, ...]:
        """All actions of this moment."""
        if self._observed.drain:
            return self._draining()
        actions = [*self._services(), *self._opening()]
        if self._retry_pending():
            return (*actions, Wait(self._next_wake()))
        actions += [*self._datasets(), *self._workers(), *self._scorers()]
        actions += self._ending()
        return (*actions, Wait(self._next_wake()))

    def _retry_pending(self) -> bool:
        snapshot = self._observed.snapshot
        if snapshot is None:
            return False
        return _to_retry(self._run, self._observed, snapshot)

    def _next_wake(self) -> float | None:
        later = [wake for wake in self._wakes if wake > self._observed.now]
        return min(later, default=None)

    def _due(self, what: str, view: PartView) -> bool:
        """Whether a part that is not there may be started now; otherwise remembers when."""
        now = standing(what, view)
        if now.given_up:
            return False
        self._wakes.append(now.due)
        return now.due <= self._observed.now

    # Services and the run itself

    def _services(self) -> Iterator[Action]:
        for service in Service:
            view = _service(self._observed, service)
            if view.presence is not Presence.ABSENT:
                continue
            if service is Service.DATASET and not any(self._groups()):
                continue
            if self._due(f"the {service} service", view):
                yield StartService(service)

    def _opening(self) -> Iterator[Action]:
        aggregator = _service(self._observed, Service.AGGREGATOR)
        if aggregator.presence is not Presence.READY:
            return
        if not self._observed.opened:
            yield OpenRun()
        elif self._retry_pending():
            yield RetryUnscored()

    # Datasets

    def _groups(self) -> Iterator[tuple[str, PicturePolicy, tuple[str, ...]]]:
        """Datasets that tasks still wait for, once per picture policy, with the models concerned."""

        def policy(key: tuple[PicturePolicy, str]) -> tuple[int, int]:
            return key[0].img_size, key[0].max_file_size

        for dataset in self._run.datasets:
            keys = sorted(
                (
                    (model.pictures, model.key)
                    for model in self._run.models
                    if self._waits(TaskId(model.key, dataset.name))
                ),
                key=policy,
            )
            for _, members in groupby(keys, key=policy):
                group = list(members)
                yield dataset.name, group[0][0], tuple(key for _, key in group)

    def _waits(self, task: TaskId) -> bool:
        seen = self._tasks.get(task)
        if seen is None:
            # What only is to be scored was prepared long ago, but for a cache that was emptied.
            return self._run.mode is not Mode.EVAL
        return seen.state is TaskState.WAITING

    def _datasets(self) -> Iterator[Action]:
        service = _service(self._observed, Service.DATASET)
        gone = standing("the dataset service", service).given_up
        for name, pictures, models in self._groups():
            state = self._observed.preparations.get((name, pictures), UNPREPARED)
            if state.state is PreparationState.READY:
                if self._listening:
                    yield AttachDataset(name, models, state.digest)
            elif gone or self._unpreparable(state):
                if self._listening:
                    reason = "UNAVAILABLE" if gone else state.reason
                    yield FailDataset(name, models, reason, gone or state.message)
            elif (
                service.presence is Presence.READY
                and state.state is not PreparationState.PREPARING
                and self._may_prepare(state)
            ):
                yield PrepareDataset(name, pictures)

    def _unpreparable(self, state: Preparation) -> bool:
        return state.state is PreparationState.FAILED and (
            not state.transient or state.failures >= PREPARE_ATTEMPTS
        )

    def _may_prepare(self, state: Preparation) -> bool:
        if state.state is PreparationState.NONE:
            return True
        due = state.failed_at + _PREPARE_DELAY * 2.0 ** (state.failures - 1)
        self._wakes.append(due)
        return due <= self._observed.now

    # Workers

    def _workers(self) -> Iterator[Action]:
        for model in (*self._run.models, *judges_of(self._run)):
            view = self._observed.workers.get(model.key, ABSENT)
            if not self._wants_workers(model.key):
                if view.count:
                    yield StopWorkers(model.key)
                continue
            replicas = self._observed.replicas.get(model.key, 1)
            if self._observed.must_wait(model.key):
                continue
            if view.count < replicas and self._due(_workers_of(model.key), view):
                yield EnsureWorkers(model.key, replicas)

    def _wants_workers(self, model: str) -> bool:
        queue = self._queues.get(model)
        if queue is not None and queue.state is QueueState.CLOSED:
            return False
        if model == JUDGE_QUEUE:
            return self._wants_judge(queue)
        if self._run.mode is Mode.EVAL:
            return False
        states = {task.state for task in self._tasks.values() if task.id.model == model}
        if TaskState.INFERRING in states:
            return True
        waiting = not states or TaskState.WAITING in states
        return waiting and self._observed.early_workers

    def _wants_judge(self, queue: QueueSnapshot | None) -> bool:
        """Whether requests wait, or may come at any moment."""
        tasks = self._tasks.values()
        if not self._listening or (self._observed.sequential and self._infers()):
            return False
        waiting = queue is not None and queue.open_count > 0
        there = self._observed.workers.get(JUDGE_QUEUE, ABSENT).count > 0
        early = there or self._observed.early_workers
        asked = waiting or any(map(self._asks_judge, tasks))
        return asked or (early and any(map(self._judged_early, tasks)))

    def _infers(self) -> bool:
        """Whether models' workers are needed, or will be; those that were given up are not."""
        open_states = {TaskState.INFERRING, TaskState.WAITING}
        models = {t.id.model for t in self._tasks.values() if t.state in open_states}
        there = self._observed.workers
        return self._run.mode is not Mode.EVAL and any(
            not standing(_workers_of(m), there.get(m, ABSENT)).given_up for m in models
        )

    def _asks_judge(self, task: TaskSnapshot) -> bool:
        """Whether a scorer of the task asks the judge, or may do so as soon as it is there."""
        scorable = task.state in {TaskState.INFERRED, TaskState.SCORING}
        return scorable and is_judged(self._run, task.id.dataset)

    def _judged_early(self, task: TaskSnapshot) -> bool:
        """Whether the judge can begin with a task while its samples are being asked."""
        if self._observed.sequential:
            return False
        begun = task.state is TaskState.INFERRING and task.counts.predicted > 0
        whole = self._run.mode is Mode.ALL
        return begun and whole and is_judged(self._run, task.id.dataset)

    # Scorers

    def _scorers(self) -> Iterator[Action]:
        if not self._listening:
            return
        busy = [
            s
            for s in self._observed.scorers.values()
            if s.presence is not Presence.ABSENT
        ]
        slots = self._observed.scorer_slots - len(busy)
        no_judge = self._without_judge()
        # What is being inferred comes last: it only begins earlier than it must.
        order = sorted(
            self._tasks.values(), key=lambda task: task.state is TaskState.INFERRING
        )
        for task in order:
            view = self._observed.scorers.get(task.id, ABSENT)
            scorable = task.state in {TaskState.INFERRED, TaskState.SCORING}
            early = self._judged_early(task)
            if no_judge and (early or self._asks_judge(task)):
                # It would wait in vain, in the place of one that needs no judge.
                if view.presence is not Presence.ABSENT:
                    yield StopScorer(task.id)
                continue
            # One place is kept for what can be scored.
            room = slots > (1 if early else 0)
            if view.presence is not Presence.ABSENT or not room:
                continue
            if (scorable or early) and self._due(_scorer_of(task.id), view):
                slots -= 1
                yield StartScorer(task.id)

    # The end

    def _ending(self) -> Iterator[Action]:
        if not self._listening or not self._tasks:
            return
        reasons: dict[str, None] = {}
        for task in self._tasks.values():
            if task.state.ended:
                continue
            reason = self._given_up(task)
            if not reason:
                return
            reasons[reason] = None
        yield FinishRun("; ".join(reasons))

    def _given_up(self, task: TaskSnapshot) -> str:
        """Why nothing more will come of a task in this run; empty: something may."""
        model = task.id.model
        if task.state in {TaskState.INFERRED, TaskState.SCORING}:
            view = self._observed.scorers.get(task.id, ABSENT)
            given_up = standing(_scorer_of(task.id), view).given_up
            needs_judge = self._asks_judge(task)
            return given_up or (self._without_judge() if needs_judge else "")
        if task.state is not TaskState.INFERRING:
            return ""
        if self._run.mode is Mode.EVAL:
            left = task.counts.pending + task.counts.leased
            return (
                f"incomplete inference: {left} of {task.counts.total} samples of {task.id} have no "
                "answer, and mode eval asks nothing; go on with mode: infer or mode: all first"
            )
        dead = self._dead_endpoint(self._queues.get(model))
        if dead:
            return f"the endpoint of model {model} is unusable: {dead}"
        view = self._observed.workers.get(model, ABSENT)
        return standing(_workers_of(model), view).given_up

    def _without_judge(self) -> str:
        """Why the judge will answer nothing more in this run; empty: it may."""
        if self._run.judge_model is None:
            return ""
        dead = self._dead_endpoint(self._queues.get(JUDGE_QUEUE))
        if dead:
            return f"the judge is unusable: {dead}"
        view = self._observed.workers.get(JUDGE_QUEUE, ABSENT)
        return standing(_workers_of(JUDGE_QUEUE), view).given_up

    def _dead_endpoint(self, queue: QueueSnapshot | None) -> str:
        if queue is None or queue.endpoint is None or queue.endpoint.usable:
            return ""
        since = self._observed.snapshot_at - queue.endpoint.for_seconds
        due = since + self._run.endpoint_patience
        self._wakes.append(due)
        if due > self._observed.now:
            return ""
        return queue.endpoint.message or queue.endpoint.reason

    # Stopping early

    def _draining(self) -> tuple[Action, ...]:
        actions: list[Action] = [
            StopWorkers(model)
            for model, view in self._observed.workers.items()
            if view.count
        ]
        actions += [
            StopScorer(task)
            for task, view in self._observed.scorers.items()
            if view.presence is not Presence.ABSENT
        ]
        if not actions:
            return (Leave(Outcome.INTERRUPTED, "interrupted"),)
        # What workers still hold is lost to them unless somebody takes it.
        aggregator = _service(self._observed, Service.AGGREGATOR)
        if aggregator.presence is Presence.ABSENT and self._due(
            "the aggregator", aggregator
        ):
            actions.append(StartService(Service.AGGREGATOR))
        actions += self._opening() if not self._observed.opened else ()
        return (*actions, Wait(self._next_wake()))


def _workers_of(model: str) -> str:
    return (
        "the judge's worker" if model == JUDGE_QUEUE else f"the worker of model {model}"
    )


def _scorer_of(task: TaskId) -> str:
    return f"the scorer of {task}"
