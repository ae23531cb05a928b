"""Jobs and pods as the API server gives them, for tests of what the controller reads out of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from assay.controller.jobs import Owner
from assay.controller.seats import Moment, Seats, seats, witnessed
from assay.controller.workloads import Job, Pod
from support.controlled import owner_of, scorer, workers

WALL = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
MOMENT = Moment(now=1000.0, wall=WALL)


def ago(seconds: float) -> str:
    """A time of before, as the API server writes it."""
    return (WALL - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def job(
    manifest: Any = None, *, ended: str = "", owner: str = "", **status: Any
) -> Job:
    """A Job that was created from a manifest of ours."""
    whole = manifest or workers()
    name = whole["metadata"]["name"]
    owners = whole["metadata"]["ownerReferences"]
    facts = [{"type": ended, "status": "True"}] if ended else []
    return msgspec.convert(
        {
            "metadata": {
                **whole["metadata"],
                "uid": f"uid-of-{name}",
                "ownerReferences": [{**owners[0], "uid": owner or owners[0]["uid"]}],
            },
            "spec": {
                key: whole["spec"][key]
                for key in ("parallelism", "completions", "suspend")
            },
            "status": {"conditions": facts, **status},
        },
        type=Job,
        strict=False,
    )


def pod(
    manifest: Any = None,
    *,
    name: str = "p",
    phase: str = "Running",
    gone_by: str | None = None,
    **status: Any,
) -> Pod:
    """A pod that a Job of ours has made; `gone_by`: when its grace ends."""
    whole = manifest or workers()
    template = whole["spec"]["template"]
    owner = {"kind": "Job", "uid": f"uid-of-{whole['metadata']['name']}"}
    return msgspec.convert(
        {
            "metadata": {
                "name": name,
                "uid": f"uid-of-{name}",
                "deletionTimestamp": gone_by,
                "labels": template["metadata"]["labels"],
                "ownerReferences": [{**owner, "controller": True}],
            },
            "spec": template["spec"],
            "status": {"phase": phase, **status},
        },
        type=Pod,
        strict=False,
    )


def ended_pod(
    code: int,
    *,
    manifest: Any = None,
    name: str = "p",
    said: str = "",
    why: str = "Error",
    lived: float = 5.0,
    since: float = 10.0,
    **status: Any,
) -> Pod:
    """A pod whose container has ended."""
    whole = manifest or workers()
    container = whole["spec"]["template"]["spec"]["containers"][0]["name"]
    terminated = {
        "exitCode": code,
        "reason": why,
        "message": said,
        "startedAt": ago(since + lived),
        "finishedAt": ago(since),
    }
    statuses = [{"name": container, "state": {"terminated": terminated}}]
    phase = "Failed" if code else "Succeeded"
    return pod(whole, name=name, phase=phase, containerStatuses=statuses, **status)


def waiting_pod(reason: str, message: str = "", **status: Any) -> Pod:
    """A pod whose container waits."""
    state = {"waiting": {"reason": reason, "message": message}}
    statuses = [{"name": "worker", "image": "assay/worker:1", "state": state}]
    return pod(phase="Pending", containerStatuses=statuses, **status)


def fact(kind: str, status: str, reason: str = "", message: str = "", since=0.0):
    """A condition of a pod."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": ago(since),
    }


def seen(
    jobs: list[Job], pods: list[Pod], *, progress: int = 7, owner: Owner | None = None
) -> Seats:
    """What is read out of them for a run, its pods' ends seen as they came."""
    owner = owner or owner_of()
    return seats(
        owner.request.run_id,
        owner.request.run,
        owner.metadata.uid,
        jobs=jobs,
        pods=pods,
        moment=MOMENT,
        witness=witnessed({}, pods, progress),
    )


SCORER = scorer()
