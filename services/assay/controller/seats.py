"""From Jobs and pods as they were read to what `decide` looks at: who is there, who ended and why.

Pure: the controller gives it what it holds of one EvalRun. A worker's seats count as long as their Job lives,
for its controller refills them; a pod that the cluster took away is nobody's failure and is no death here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from assay.controller.jobs import (
    GENERATION_LABEL,
    RUN_LABEL,
    SCORER,
    SEAT_LABEL,
    WORKER,
    role_of,
    seat_of,
)
from assay.controller.pod_ends import LOST_SECONDS, end_of, hindrance
from assay.controller.workloads import Job, Pod
from assay.domain.judge import all_asked
from assay.domain.observed import Death, Ending, PartView, Presence
from assay.domain.run import Run
from assay.domain.task import TaskId
from assay.kube.objects import KubeObject
from assay.rpc.callers import Role

PODLESS_SECONDS = 30.0
"""A Job without a pod for so long is refused its pods: by a quota, or by admission."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One moment, on the clock of `Observed.now` and on that of the cluster."""

    now: float
    wall: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Seats:
    """What there is of one run.

    Attributes:
        live: the Job that keeps each seat now, by the seat's label.
        next_generation: of the seats that had a Job; one that is not named had none: 1.
        hindrances: why pods do not begin, each in one sentence with the cure; none twice.
        stuck: seats whose Job lives with something in the way and no pod at work.
        lost: seats all of whose pods are on nodes that do not answer: their Job waits for those for ever.
    """

    workers: Mapping[str, PartView]
    scorers: Mapping[TaskId, PartView]
    live: Mapping[str, Job]
    next_generation: Mapping[str, int]
    hindrances: tuple[str, ...] = ()
    stuck: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()


def witnessed(
    former: Mapping[str, int] | None, pods: Iterable[Pod], progress: int
) -> dict[str, int]:
    """How far the run was when each pod's end was first seen, by the pod's uid.

    A controller that has just begun (`former` None) saw none of them: each then counts as the only one of
    its kind, so that ends of long ago are never taken for a row without progress.
    """
    known = former or {}
    return {
        pod.metadata.uid: known.get(
            pod.metadata.uid, progress if former is not None else -1 - place
        )
        for place, pod in enumerate(pod for pod in pods if pod.ended)
    }


def seats(
    run_id: str,
    run: Run,
    owner_uid: str,
    *,
    jobs: Sequence[Job],
    pods: Sequence[Pod],
    moment: Moment,
    witness: Mapping[str, int],
) -> Seats:
    """Everything there is of a run.

    Args:
        run_id: the execution.
        run: what it is of.
        owner_uid: of its EvalRun; a deleted one's Jobs are on their way out.
        jobs: of any run.
        pods: of any run.
        moment: now.
        witness: what `witnessed` said.
    """
    of_run = [job for job in jobs if _label(job, RUN_LABEL) == run_id]
    ours = [job for job in of_run if _controller(job) == owner_uid]
    view = _View(ours, pods, moment, witness)
    tasks = [TaskId(m.key, d.name) for m in run.models for d in run.datasets]
    return Seats(
        workers={
            key: view.part(seat_of(run_id, role_of(key), key), WORKER)
            for key in all_asked(run)
        },
        scorers={
            task: view.part(
                seat_of(run_id, Role.SCORER, task.model, task.dataset), SCORER
            )
            for task in tasks
        },
        live=view.live,
        next_generation=_next_generations(of_run),
        hindrances=tuple(dict.fromkeys(s for told in view.told.values() for s in told)),
        stuck=frozenset(seat for seat, told in view.told.items() if told)
        - view.at_work(),
        lost=view.lost(),
    )


def _next_generations(jobs: Iterable[Job]) -> dict[str, int]:
    found: dict[str, int] = {}
    for job in jobs:
        seat = _label(job, SEAT_LABEL)
        told = _label(job, GENERATION_LABEL)
        following = int(told) + 1 if told.isdecimal() else 1
        found[seat] = max(found.get(seat, 1), following)
    return found


class _View:
    def __init__(
        self,
        jobs: Sequence[Job],
        pods: Sequence[Pod],
        moment: Moment,
        witness: Mapping[str, int],
    ) -> None:
        uids = {job.metadata.uid for job in jobs}
        self._pods = [pod for pod in pods if _controller(pod) in uids]
        self._by_seat: dict[str, list[Pod]] = {}
        for pod in self._pods:
            self._by_seat.setdefault(_label(pod, SEAT_LABEL), []).append(pod)
        self._moment = moment
        self._witness = witness
        self.live = {_label(job, SEAT_LABEL): job for job in jobs if job.live}
        self.told = {
            seat: self._hindrances(seat, job) for seat, job in self.live.items()
        }

    def part(self, seat: str, container: str) -> PartView:
        """What `decide` looks at of one seat."""
        job = self.live.get(seat)
        pods = self._by_seat.get(seat, [])
        deaths = self._deaths(pods, container)
        if job is None:
            return PartView(deaths=deaths, journal=_logs(seat))
        own = [pod for pod in pods if _controller(pod) == job.metadata.uid]
        ready = any(pod.running for pod in own)
        wanted = job.spec.parallelism
        return PartView(
            presence=Presence.READY if ready else Presence.STARTING,
            count=1 if wanted is None else wanted,
            deaths=deaths,
            journal=_logs(seat),
        )

    def _deaths(self, pods: Iterable[Pod], container: str) -> tuple[Death, ...]:
        deaths = []
        for pod in pods:
            end = end_of(pod, container)
            if end is None or end.disrupted:
                continue
            ago = 0.0
            if end.finished is not None:
                # A node's clock may be ahead of ours.
                ago = max((self._moment.wall - end.finished).total_seconds(), 0.0)
            deaths.append(
                Death(
                    at=self._moment.now - ago,
                    lived=end.lived,
                    ending=end.ending,
                    progress=self._witness[pod.metadata.uid],
                    message="" if end.ending is Ending.DONE else end.message,
                )
            )
        return tuple(sorted(deaths, key=lambda death: death.at))

    def at_work(self) -> frozenset[str]:
        """Seats that have a running pod."""
        return frozenset(_label(pod, SEAT_LABEL) for pod in self._pods if pod.running)

    def lost(self) -> frozenset[str]:
        """Seats whose every pod that has not ended is overdue."""
        wall = self._moment.wall
        there = [pod for pod in self._pods if not pod.ended]
        late = {_label(p, SEAT_LABEL) for p in there if p.overdue(wall) > LOST_SECONDS}
        others = {
            _label(p, SEAT_LABEL) for p in there if p.overdue(wall) <= LOST_SECONDS
        }
        return frozenset((late - others) & set(self.live))

    def _hindrances(self, seat: str, job: Job) -> list[str]:
        """Why pods of a seat do not begin."""
        told = [self._job_hindrance(job)]
        told += [
            hindrance(pod, self._moment.wall) for pod in self._by_seat.get(seat, [])
        ]
        return [sentence for sentence in told if sentence]

    def _job_hindrance(self, job: Job) -> str:
        name, status = job.metadata.name, job.status
        if job.spec.suspend:
            queue = _label(job, "kueue.x-k8s.io/queue-name")
            return f"Job {name} waits in queue {queue}" if queue else ""
        if status.failed_indexes:
            return (
                f"Job {name} has given up its seats {status.failed_indexes} after too many failures; "
                "the others take their work"
            )
        since = status.start_time
        if status.active or since is None or job.spec.parallelism == 0:
            return ""
        if (self._moment.wall - since).total_seconds() < PODLESS_SECONDS or any(
            _controller(pod) == job.metadata.uid
            for pod in self._by_seat.get(_label(job, SEAT_LABEL), [])
        ):
            return ""
        return (
            f"Job {name} gets no pod (see its events: `kubectl describe job {name}`; a quota or the "
            "namespace's admission refuses it)"
        )


def _label(item: KubeObject, name: str) -> str:
    return (item.metadata.labels or {}).get(name, "")


def _controller(item: KubeObject) -> str:
    """The uid of the object that this one belongs to."""
    owners = item.metadata.owner_references or ()
    return next((owner.uid for owner in owners if owner.controller), "")


def _logs(seat: str) -> str:
    return f"kubectl logs -l {SEAT_LABEL}={seat} --prefix"
