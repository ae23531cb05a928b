"""The status of an EvalRun from what is known of it, and the Events that tell its changes.

Pure: the controller writes a status where it differs from the one that is there, at most every ten seconds,
and then the Events. It holds counts, scores and places, never payloads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from hashlib import sha256
from typing import Any, Literal

from msgspec.structs import replace

from assay.controller.conditions import (
    Condition,
    EvalRunStatus,
    Execution,
    Kind,
    TaskStatus,
    conditions,
)
from assay.controller.words import Sight, words_of
from assay.domain.report import RunState
from assay.domain.run import Run
from assay.domain.snapshot import RunSnapshot, TaskSnapshot
from assay.domain.task import TaskState
from assay.kube.objects import ObjectMeta
from assay.kube.resources import EVAL_RUNS, EVENTS

MOST_TASKS = 200
"""Beyond that many only the totals are told: the object has a limit."""

MOST_EXECUTIONS = 10
SUPERSEDED = "Superseded"

SCORED = frozenset({"Complete", "BelowCoverage"})
FINAL = SCORED | {"Failed", "Cancelled"}
_ENDED = {
    RunState.COMPLETE: "Complete",
    RunState.BELOW_COVERAGE: "BelowCoverage",
    RunState.FAILED: "Failed",
    RunState.CANCELLED: "Cancelled",
}
_ASKING = (Kind.INFERRING, Kind.JUDGING)
_HINDRANCES = frozenset(
    {"EndpointUnusable", "PodsNotReady", "NodeLost", "JudgeUnusable"}
)
"""Reasons for which nobody is asked though somebody should be: the column says them instead of the stage."""
_FEW_SCORES = 4
_COLUMN = 40
_LONGEST_NOTE = 1000

_TOLD: dict[tuple[Kind, str], Literal["Normal", "Warning"]] = {
    (Kind.ACCEPTED, "Accepted"): "Normal",
    (Kind.ACCEPTED, "InvalidSpec"): "Warning",
    (Kind.DATASET_READY, "Prepared"): "Normal",
    (Kind.DATASET_READY, "PreparationFailed"): "Warning",
    (Kind.INFERRING, "Answering"): "Normal",
    (Kind.INFERRING, "AllAnswered"): "Normal",
    (Kind.INFERRING, "EndpointUnusable"): "Warning",
    (Kind.INFERRING, "PodsNotReady"): "Warning",
    (Kind.INFERRING, "NodeLost"): "Warning",
    (Kind.JUDGING, "Judging"): "Normal",
    (Kind.JUDGING, "JudgeUnusable"): "Warning",
    (Kind.SCORED, "AllScored"): "Normal",
    (Kind.COMPLETE, "Complete"): "Normal",
    (Kind.COMPLETE, "AlreadyComplete"): "Normal",
    (Kind.COMPLETE, "CoverageBelowThreshold"): "Warning",
    (Kind.FAILED, "RunFailed"): "Warning",
    (Kind.FAILED, "CannotGoOn"): "Warning",
    (Kind.FAILED, "EndpointChanged"): "Warning",
    (Kind.FAILED, "Cancelled"): "Normal",
    (Kind.SUSPENDED, "Suspended"): "Normal",
}
"""Which conditions, once they have come to say this, are worth an Event; the others say the same twice."""


@dataclass(frozen=True, slots=True)
class Notice:
    """An Event to be."""

    type: Literal["Normal", "Warning"]
    reason: str
    note: str


def status_of(sight: Sight, former: EvalRunStatus, now: str) -> EvalRunStatus:
    """The whole status.

    Args:
        sight: what is known.
        former: the status as it is.
        now: RFC 3339, UTC, whole seconds.
    """
    generation, request = sight.admission.generation, sight.admission.request
    told = conditions(words_of(sight), former, generation=generation, now=now)
    if request is None:
        # What ran before the refused change is still told.
        return replace(
            former, observed_generation=generation, state="Refused", conditions=told
        )
    run, snapshot = request.run, sight.snapshot
    state = _state(sight, told)
    tasks = snapshot.tasks if snapshot else ()
    execution = Execution(
        run_id=request.run_id,
        spec_digest=request.spec_digest,
        state=state,
        generation=generation,
        started=snapshot.started if snapshot else "",
        finished=snapshot.finished if snapshot else "",
    )
    return EvalRunStatus(
        observed_generation=generation,
        run_id=request.run_id,
        spec_digest=request.spec_digest,
        state=state,
        models=_column([model.key for model in run.models], "models"),
        datasets=_column([dataset.name for dataset in run.datasets], "datasets"),
        judge=_judge(run),
        progress=_progress(tasks),
        score=_score(tasks),
        store=sight.store,
        conditions=told,
        tasks=[_task(task) for task in tasks] if len(tasks) <= MOST_TASKS else None,
        executions=_executions(
            execution, former.executions or [], now, begun=snapshot is not None
        ),
    )


def _state(sight: Sight, told: Sequence[Condition]) -> str:
    snapshot, request = sight.snapshot, sight.admission.request
    if snapshot is not None and snapshot.state in _ENDED:
        return _ENDED[snapshot.state]
    if sight.problem:
        return "Failed"
    if request is not None and request.suspend:
        return "Suspended"
    if snapshot is None:
        return "Pending"
    asked = {fact.type: fact for fact in told if fact.type in _ASKING}
    if any(fact.status == "True" for fact in asked.values()):
        return _stage(snapshot)
    # Who reads the column should not wait for answers that cannot come.
    reasons = [asked[kind].reason for kind in _ASKING if kind in asked]
    return next((r for r in reasons if r in _HINDRANCES), _stage(snapshot))


def _stage(snapshot: RunSnapshot) -> str:
    states = {task.state for task in snapshot.tasks}
    if TaskState.INFERRING in states:
        return "Inferring"
    if TaskState.WAITING in states:
        return "Preparing"
    return "Scoring"


def _judge(run: Run) -> str:
    """Who decides, and where it is asked."""
    judge = run.judge_model
    if judge is None:
        return run.judge
    return f"{run.judge} ({judge.served_name} at {judge.api_base.partition('?')[0]})"


def _column(names: Sequence[str], many: str) -> str:
    listed = ", ".join(names)
    return listed if len(listed) <= _COLUMN else f"{len(names)} {many}"


def _answered(task: TaskSnapshot) -> int:
    return task.counts.predicted + task.counts.scored + task.counts.unscored


def _progress(tasks: Sequence[TaskSnapshot]) -> str:
    total = sum(task.counts.total for task in tasks)
    return f"{sum(map(_answered, tasks))}/{total}" if total else ""


def _score(tasks: Sequence[TaskSnapshot]) -> str:
    scores = [task.score for task in tasks]
    told = sum(score is not None for score in scores)
    if not told:
        return ""
    if len(tasks) <= _FEW_SCORES:
        return ", ".join(f"{s.value:.4g}" if s is not None else "-" for s in scores)
    return f"{told} of {len(tasks)}"


def _task(task: TaskSnapshot) -> TaskStatus:
    return TaskStatus(
        model=task.id.model,
        dataset=task.id.dataset,
        state=task.state,
        total=task.counts.total,
        answered=_answered(task),
        scored=task.counts.scored,
        unscored=task.counts.unscored,
        score=task.score.value if task.score is not None else None,
        message=task.message,
    )


def _executions(
    current: Execution, former: Sequence[Execution], now: str, *, begun: bool
) -> list[Execution]:
    """The current one first, then those before it; one that nobody has begun is none."""
    before = next((e for e in former if e.run_id == current.run_id), None)
    others = [
        e if e.state in FINAL else replace(e, state=SUPERSEDED)
        for e in former
        if e.run_id != current.run_id
    ]
    if before is None and not begun:
        return others
    final = current.state in FINAL
    ended = before.finished if before and before.state in FINAL else now
    current = replace(
        current,
        started=current.started or (before.started if before else now),
        finished=(current.finished or ended) if final else "",
    )
    return [current, *others][:MOST_EXECUTIONS]


def notices(before: EvalRunStatus, after: EvalRunStatus) -> list[Notice]:
    """What is to be told of a change, in the order of the conditions; the same change is told once."""
    told = []
    if before.run_id and after.run_id != before.run_id:
        told.append(
            Notice(
                "Normal",
                SUPERSEDED,
                f"execution {after.run_id} follows {before.run_id}, whose results stay",
            )
        )
    for kind in Kind:
        old, new = before.condition(kind), after.condition(kind)
        if new is None or (
            old is not None and (old.status, old.reason) == (new.status, new.reason)
        ):
            continue
        if kind is Kind.SUSPENDED and old is not None and old.status == "True":
            told.append(Notice("Normal", "Resumed", "its pods may come again"))
            continue
        weight = _TOLD.get((kind, new.reason))
        if weight is not None:
            told.append(
                Notice(weight, new.reason, new.message or f"{kind}: {new.status}")
            )
    return told


def event(
    notice: Notice, regarding: ObjectMeta, *, reporter: str, now: str
) -> dict[str, Any]:
    """The Event of a notice; written twice it is still one, for its name says what it is of.

    Args:
        notice: what it tells.
        regarding: the EvalRun.
        reporter: the controller's pod.
        now: RFC 3339, UTC, with six places after the second.
    """
    short = changed(notice, note=notice.note[:_LONGEST_NOTE])
    told = f"{regarding.uid}\0{regarding.resource_version}\0{short}"
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {
            "name": f"{regarding.name[:200].strip('.-')}.{sha256(told.encode()).hexdigest()[:16]}",
            "namespace": regarding.namespace,
        },
        "eventTime": now,
        "reportingController": "assay.dev/controller",
        "reportingInstance": reporter[:128],
        "action": "Reconcile",
        "type": short.type,
        "reason": short.reason,
        "note": short.note,
        "regarding": {
            "apiVersion": EVAL_RUNS.api_version,
            "kind": EVAL_RUNS.kind,
            "name": regarding.name,
            "namespace": regarding.namespace,
            "uid": regarding.uid,
        },
    }
