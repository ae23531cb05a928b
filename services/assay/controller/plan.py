"""From what `decide` asks for, and what differs from the spec, to writes against the API server.

Pure: the controller carries the writes out, each at most once, and only by a mirror that has seen its own
former writes; asked again over the same Jobs this says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from assay.controller.jobs import (
    TEMPLATE_NOTE,
    Owner,
    expiring,
    rescaled,
    role_of,
    scorer_job,
    seat_of,
    suspended,
    worker_job,
)
from assay.controller.pods import Manifest, Platform
from assay.controller.seats import Seats
from assay.controller.workloads import Job
from assay.domain.actions import (
    Action,
    EnsureWorkers,
    StartScorer,
    StopScorer,
    StopWorkers,
)
from assay.rpc.callers import Role


@dataclass(frozen=True, slots=True)
class CreateJob:
    """Make this Job; one of its name that is still going away is waited for."""

    manifest: Manifest


@dataclass(frozen=True, slots=True)
class PatchJob:
    """Change a running Job by a merge."""

    name: str
    uid: str
    patch: Manifest


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Remove a Job of that uid and, in the background, its pods: they get their grace."""

    name: str
    uid: str


Write = CreateJob | PatchJob | DeleteJob


def writes_for(
    action: Action, owner: Owner, there: Seats, platform: Platform
) -> list[Write]:
    """What an action means here; nothing for one that is no Job's business, or done already."""
    run_id = owner.request.run_id
    match action:
        case EnsureWorkers(model=model):
            seat = seat_of(run_id, role_of(model), model)
            make = partial(worker_job, owner, model, platform)
            return _made(owner, there, seat, make)
        case StartScorer(task=task):
            seat = seat_of(run_id, Role.SCORER, task.model, task.dataset)
            return _made(owner, there, seat, partial(scorer_job, owner, task, platform))
        case StopWorkers(model=model):
            return _deleted(there, seat_of(run_id, role_of(model), model))
        case StopScorer(task=task):
            return _deleted(
                there, seat_of(run_id, Role.SCORER, task.model, task.dataset)
            )
    return []


def upkeep(owner: Owner, there: Seats, platform: Platform) -> list[Write]:
    """What brings living Jobs to what the spec says now: seats, suspension, a template that was mended."""
    return [
        write
        for seat, make in _seats(owner, there, platform)
        if (job := there.live.get(seat)) is not None
        for write in _kept_up(job, make(generation=1), owner, seat, there)
    ]


def expire(owner: Owner, jobs: Iterable[Job]) -> list[Write]:
    """Lets the Jobs of a run that has ended go; to be asked for only once its results are stored."""
    ttl = owner.request.ttl
    if ttl is None:
        return []
    return [
        PatchJob(job.metadata.name, job.metadata.uid, expiring(ttl))
        for job in jobs
        if not job.live
        and job.metadata.deletion_timestamp is None
        and job.spec.ttl_seconds_after_finished != ttl
    ]


def forgive(jobs: Iterable[Job]) -> list[Write]:
    """Removes what ended, so that its deaths no longer count: what a retry begins with."""
    return [
        DeleteJob(job.metadata.name, job.metadata.uid)
        for job in jobs
        if not job.live and job.metadata.deletion_timestamp is None
    ]


def dismiss(there: Seats) -> list[Write]:
    """Ends every Job that lives: of an execution that another one follows, or that was cancelled."""
    return [write for seat in there.live for write in _deleted(there, seat)]


def _seats(
    owner: Owner, there: Seats, platform: Platform
) -> Iterator[tuple[str, Callable[..., Manifest]]]:
    """Every seat of the run, and how its Job would be made now."""
    run_id = owner.request.run_id
    for model in there.workers:
        seat = seat_of(run_id, role_of(model), model)
        yield seat, partial(worker_job, owner, model, platform)
    for task in there.scorers:
        seat = seat_of(run_id, Role.SCORER, task.model, task.dataset)
        yield seat, partial(scorer_job, owner, task, platform)


def _kept_up(
    job: Job, wanted: Manifest, owner: Owner, seat: str, there: Seats
) -> list[Write]:
    name, uid = job.metadata.name, job.metadata.uid
    told = (job.metadata.annotations or {}).get(TEMPLATE_NOTE)
    mended = told != wanted["metadata"]["annotations"][TEMPLATE_NOTE]
    if owner.request.suspend and _queued(owner):
        # There it is the queue that suspends and lets go: what is to stay away must not be there.
        return [DeleteJob(name, uid)]
    if seat in there.lost or (seat in there.stuck and mended):
        # A lost seat is never refilled, and a template never changes: `decide` then asks for the next
        # generation.
        return [DeleteJob(name, uid)]
    writes: list[Write] = []
    if job.spec.parallelism != wanted["spec"]["parallelism"]:
        writes.append(PatchJob(name, uid, rescaled(wanted["spec"]["parallelism"])))
    if not _queued(owner) and bool(job.spec.suspend) != owner.request.suspend:
        writes.append(PatchJob(name, uid, suspended(away=owner.request.suspend)))
    return writes


def _queued(owner: Owner) -> bool:
    return bool(owner.request.placement.queue.name)


def _made(
    owner: Owner, there: Seats, seat: str, make: Callable[..., Manifest]
) -> list[Write]:
    """The seat's next Job; none where one lives, whose differences are `upkeep`'s."""
    if seat in there.live or (owner.request.suspend and _queued(owner)):
        return []
    return [CreateJob(make(generation=there.next_generation.get(seat, 1)))]


def _deleted(there: Seats, seat: str) -> list[Write]:
    job = there.live.get(seat)
    return [] if job is None else [DeleteJob(job.metadata.name, job.metadata.uid)]
