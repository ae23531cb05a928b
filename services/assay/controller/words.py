"""What each condition of an EvalRun says, from what is known of its run; reasons are stable words.

`status.py` puts them into the status. Nothing is remembered here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from assay.controller.conditions import Kind, Word, no, unknown, yes
from assay.controller.evalrun import Admission, Request
from assay.domain.judge import JUDGE_QUEUE
from assay.domain.report import RunState
from assay.domain.snapshot import QueueSnapshot, RunSnapshot, TaskSnapshot
from assay.domain.task import TaskState

CANNOT = {"ENDPOINT_CHANGED": "EndpointChanged", "": "CannotGoOn"}
"""Reasons of `Failed` that are the controller's own: the aggregator does not say that the run has ended."""

_SCORABLE = frozenset({TaskState.INFERRED, TaskState.SCORING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Everything that is known of an EvalRun at one moment.

    Attributes:
        snapshot: what the aggregator said last of the current execution; None: nothing yet.
        hindrances: why pods do not begin.
        lost: some model's workers are all on nodes that do not answer.
        problem: why nothing more will come of it, though the aggregator does not say so; empty: it may.
        reason: the machine word of the problem.
        waiting: what is waited for before there can be a snapshot; empty: nothing in particular.
        found: the execution had ended before this controller began it.
        store: where results lie, for people.
    """

    admission: Admission
    snapshot: RunSnapshot | None = None
    hindrances: tuple[str, ...] = ()
    lost: bool = False
    problem: str = ""
    reason: str = ""
    waiting: str = ""
    found: bool = False
    store: str = ""


def words_of(sight: Sight) -> dict[Kind, Word]:
    """What every condition says."""
    request = sight.admission.request
    if request is None:
        return _refused(str(sight.admission.refusal))
    suspended = (
        yes(
            "Suspended",
            "its pods are kept away; spec.suspend: false lets it go on",
        )
        if request.suspend
        else no("NotSuspended")
    )
    words = {
        Kind.ACCEPTED: yes("Accepted", f"execution {request.run_id}"),
        Kind.JUDGING: no("NoJudge", f"{request.run.judge} decides")
        if request.run.judge_model is None
        else unknown("Pending", sight.waiting),
        Kind.SUSPENDED: suspended,
    }
    if sight.snapshot is None:
        return words | _unseen(sight)
    return words | {
        Kind.DATASET_READY: _dataset_ready(sight.snapshot),
        Kind.INFERRING: _inferring(sight, request, sight.snapshot),
        Kind.JUDGING: _judging(sight, request, sight.snapshot),
        Kind.SCORED: _scored(sight.snapshot),
        Kind.COMPLETE: _complete(sight, sight.snapshot),
        Kind.FAILED: _failed(sight, sight.snapshot),
    }


def _refused(why: str) -> dict[Kind, Word]:
    nothing = unknown("NotAccepted")
    return dict.fromkeys(Kind, nothing) | {
        Kind.ACCEPTED: no("InvalidSpec", why),
        Kind.COMPLETE: no("InvalidSpec"),
        Kind.FAILED: yes("InvalidSpec", why),
        Kind.SUSPENDED: no("NotSuspended"),
    }


def _unseen(sight: Sight) -> dict[Kind, Word]:
    pending = unknown("Pending", sight.waiting)
    failed = _cannot(sight) if sight.problem else no("NotFailed")
    return {
        Kind.DATASET_READY: pending,
        Kind.INFERRING: pending,
        Kind.SCORED: pending,
        Kind.COMPLETE: no("Pending", sight.waiting),
        Kind.FAILED: failed,
    }


def _dataset_ready(snapshot: RunSnapshot) -> Word:
    # A task that failed before it had any sample failed for its dataset.
    failed = [
        task
        for task in snapshot.tasks
        if task.state is TaskState.FAILED and not task.counts.total
    ]
    if failed:
        return no("PreparationFailed", _told(failed))
    waiting = {t.id.dataset for t in snapshot.tasks if t.state is TaskState.WAITING}
    if waiting:
        return no("Preparing", f"waits for {', '.join(sorted(waiting))}")
    return yes("Prepared")


def _inferring(sight: Sight, request: Request, snapshot: RunSnapshot) -> Word:
    states = {task.state for task in snapshot.tasks}
    if TaskState.INFERRING not in states:
        if snapshot.state is RunState.RUNNING and TaskState.WAITING in states:
            return no("WaitingForDataset")
        return no("AllAnswered")
    if snapshot.state is not RunState.RUNNING:
        return no("Ended")
    return no("Suspended") if request.suspend else _answering(sight, snapshot)


def _models(snapshot: RunSnapshot) -> list[QueueSnapshot]:
    return [queue for queue in snapshot.queues if queue.queue != JUDGE_QUEUE]


def _judging(sight: Sight, request: Request, snapshot: RunSnapshot) -> Word:
    """Whether requests to the judge wait, and what keeps them waiting."""
    queue = next((q for q in snapshot.queues if q.queue == JUDGE_QUEUE), None)
    if request.run.judge_model is None or queue is None:
        return no("NoJudge", f"{request.run.judge} decides")
    if snapshot.state is not RunState.RUNNING or not queue.open_count:
        over = snapshot.state is not RunState.RUNNING
        return no("Ended" if over else "NothingToJudge")
    if request.suspend:
        return no("Suspended")
    if queue.endpoint is not None and not queue.endpoint.usable:
        return no("JudgeUnusable", queue.endpoint.message or queue.endpoint.reason)
    if queue.workers:
        return yes("Judging", f"{queue.open_count} requests wait")
    return no("WaitingForWorkers", "; ".join(sight.hindrances))


def _answering(sight: Sight, snapshot: RunSnapshot) -> Word:
    """As long as one model is asked, the run infers; the message says what the others wait for."""
    dead = {
        queue.queue: queue.endpoint.message or queue.endpoint.reason
        for queue in _models(snapshot)
        if queue.endpoint is not None and not queue.endpoint.usable
    }
    asked = any(q.workers and q.queue not in dead for q in _models(snapshot))
    trouble = [f"{queue}: {why}" for queue, why in dead.items()]
    told = "; ".join([*trouble, *sight.hindrances])
    if asked:
        return yes("Answering", told)
    if dead:
        return no("EndpointUnusable", told)
    if sight.lost:
        return no("NodeLost", told)
    return no("PodsNotReady", told) if told else no("WaitingForWorkers")


def _scored(snapshot: RunSnapshot) -> Word:
    tasks = snapshot.tasks
    failed = [task for task in tasks if task.state is TaskState.FAILED]
    if failed:
        return no("TaskFailed", _told(failed))
    below = [task for task in tasks if task.state is TaskState.BELOW_COVERAGE]
    if below:
        return no("CoverageBelowThreshold", _told(below))
    if tasks and all(task.state is TaskState.COMPLETE for task in tasks):
        return yes("AllScored")
    if any(task.state in _SCORABLE for task in tasks):
        return no("Scoring")
    return no("WaitingForAnswers")


def _complete(sight: Sight, snapshot: RunSnapshot) -> Word:
    if snapshot.state is RunState.COMPLETE:
        if not sight.found:
            return yes("Complete", f"results lie in {sight.store}")
        return yes(
            "AlreadyComplete",
            f"its results of {snapshot.finished} lie in {sight.store}; for a new execution write "
            "fresh: <any new word> into spec.file",
        )
    if snapshot.state is RunState.BELOW_COVERAGE:
        told = snapshot.message or "a score is withheld"
        cure = "`assay retry` asks again what is unscored"
        return no("CoverageBelowThreshold", f"{told} ({cure})")
    if snapshot.state is RunState.FAILED:
        return no("RunFailed")
    if snapshot.state is RunState.CANCELLED:
        return no("Cancelled")
    return no("Running", snapshot.message)


def _failed(sight: Sight, snapshot: RunSnapshot) -> Word:
    if snapshot.state is RunState.FAILED:
        told = snapshot.message or sight.problem or _told(snapshot.tasks)
        return yes("RunFailed", told)
    if snapshot.state is RunState.CANCELLED:
        cure = "write fresh: <any new word> into spec.file to evaluate again"
        return yes("Cancelled", f"somebody cancelled it; {cure}")
    if sight.problem and snapshot.state is RunState.RUNNING:
        return _cannot(sight)
    return no("NotFailed")


def _cannot(sight: Sight) -> Word:
    return yes(CANNOT.get(sight.reason, "CannotGoOn"), sight.problem)


def _told(tasks: Iterable[TaskSnapshot]) -> str:
    return "; ".join(f"{task.id}: {task.message}" for task in tasks if task.message)
