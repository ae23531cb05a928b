"""Jobs and pods of one EvalRun: what is there of each execution, and whether our own writes show yet."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime

from assay.controller.evalrun import Request
from assay.controller.jobs import RUN_LABEL
from assay.controller.plan import DeleteJob, PatchJob, Write
from assay.controller.seats import Moment, Seats, seats, witnessed
from assay.controller.watches import Watches
from assay.controller.workloads import Job, Pod
from assay.controller.writing import Writer
from assay.kube.mirror import Key


class Holdings:
    """What an EvalRun's loop looks at and changes."""

    def __init__(self, owner_uid: str, watches: Watches, writer: Writer) -> None:
        """Has seen nothing yet.

        Args:
            owner_uid: of the EvalRun.
            watches: the mirrors.
            writer: writes to the API server.
        """
        self._uid = owner_uid
        self._watches = watches
        self._writer = writer
        self._touched: set[Key] = set()
        self._witness: dict[str, int] | None = None

    @property
    def settled(self) -> bool:
        """Whether all that we wrote is seen: before that nothing may be decided by what is here."""
        jobs = self._watches.jobs
        self._touched = {key for key in self._touched if not jobs.trusted(key)}
        return not self._touched

    def jobs(self, run_id: str) -> list[Job]:
        """Jobs of an execution, those of a former EvalRun of the same name too."""
        return [job for job in self._watches.jobs.items() if run_of(job) == run_id]

    def others(self, run_id: str) -> list[Job]:
        """Jobs that live of any other execution of this EvalRun."""
        return [
            job
            for job in self._watches.jobs.items()
            if job.live and _owner_of(job) == self._uid and run_of(job) != run_id
        ]

    def begin(self) -> None:
        """Another execution: ends of pods are counted from now on."""
        self._witness = None

    def seats(self, request: Request, progress: int) -> Seats:
        """What is there of an execution.

        Args:
            request: what is executed.
            progress: how far it has come, as one number.
        """
        run_id = request.run_id
        pods = [pod for pod in self._watches.pods.items() if run_of(pod) == run_id]
        self._witness = witnessed(self._witness, pods, progress)
        return seats(
            run_id,
            request.run,
            self._uid,
            jobs=self.jobs(run_id),
            pods=pods,
            moment=Moment(now=time.monotonic(), wall=datetime.now(UTC)),
            witness=self._witness,
        )

    async def write(self, writes: Iterable[Write]) -> None:
        """Carries writes out, in order; of two about one Job the second waits for the next look.

        Raises:
            NotLeaderError: another controller may lead by now.
            AssayError: as the API server answers.
        """
        done: set[str] = set()
        for write in writes:
            name = _name(write)
            if name not in done:
                done.add(name)
                self._touched.add(await self._writer.carry_out(write))


def run_of(item: Job | Pod) -> str:
    """The execution that a Job or a pod is of; empty: none of ours."""
    return (item.metadata.labels or {}).get(RUN_LABEL, "")


def removals(jobs: Iterable[Job]) -> list[Write]:
    """Removes the Jobs among these that live."""
    living = [job.metadata for job in jobs if job.live]
    return [DeleteJob(metadata.name, metadata.uid) for metadata in living]


def left_over(jobs: Iterable[Job], *, scored: bool) -> list[Write]:
    """Removes what lives of an execution that has ended.

    Args:
        jobs: of the execution.
        scored: all its tasks have a score: scorers have nothing left to do but end, and their logs stay.
    """
    return removals(job for job in jobs if not (scored and _role_of(job) == "scorer"))


def _role_of(job: Job) -> str:
    return (job.metadata.labels or {}).get("app.kubernetes.io/component", "")


def _owner_of(job: Job) -> str:
    owners = job.metadata.owner_references or ()
    return next((owner.uid for owner in owners if owner.controller), "")


def _name(write: Write) -> str:
    """Which Job a write is about."""
    match write:
        case PatchJob() | DeleteJob():
            return write.name
    return str(write.manifest["metadata"]["name"])
