"""The loop of one EvalRun: look, decide, write; for as long as it is there and we lead.

`manager` runs one per EvalRun. It holds nothing that a controller in its place could not learn: the spec and
the last status say which execution is meant, Jobs and pods say who is at work, services say the rest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from assay.controller.conditions import Kind
from assay.controller.evalrun import Admission, EvalRun, Request, admitted
from assay.controller.execution import Execution
from assay.controller.jobs import RUN_LABEL, Owner
from assay.controller.plan import (
    DeleteJob,
    PatchJob,
    Write,
    dismiss,
    expire,
    forgive,
    upkeep,
    writes_for,
)
from assay.controller.pods import Platform
from assay.controller.seats import Moment, Seats, seats, witnessed
from assay.controller.status import FINAL
from assay.controller.telling import Teller
from assay.controller.watches import Watches
from assay.controller.words import Sight
from assay.controller.workloads import Job, Pod
from assay.controller.writing import Writer
from assay.domain.actions import Action, Leave, Outcome, Wait
from assay.domain.decide import decide
from assay.domain.errors import (
    NotFoundError,
    PermanentError,
    TransientError,
)
from assay.domain.report import RunState
from assay.driving.asking import Clients
from assay.kube.backoff import Backoff
from assay.kube.mirror import Key

SCORER_SLOTS = 4
"""Scorers of one run at a time: their pods queue for nodes, so there is no use in very many."""

STALE_SECONDS = 1.0
"""Between looks while the mirrors are behind."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all loops share.

    Attributes:
        store: where results lie, for people.
        reporter: of Events: the controller's pod.
    """

    watches: Watches
    writer: Writer
    platform: Platform
    clients_of: Callable[[str], Clients]
    store: str
    reporter: str


class Reconciler:
    """Brings one EvalRun to its end, and keeps it there."""

    def __init__(self, item: EvalRun, around: Surroundings) -> None:
        """Has looked at nothing yet.

        Args:
            item: the EvalRun as it was first seen.
            around: what it works with.
        """
        metadata = item.metadata
        self._key: Key = (metadata.namespace, metadata.name)
        self.uid = metadata.uid
        self._around = around
        self._changed = asyncio.Event()
        self._admission: Admission | None = None
        self._execution: Execution | None = None
        self._witness: dict[str, int] | None = None
        self._touched: set[Key] = set()
        self._closed: set[str] = set()
        self._teller = Teller(around.writer, around.reporter)
        self._refused = ""
        self._log = _log.bind(evalrun=metadata.name)

    @property
    def run_id(self) -> str:
        """The current execution; empty: there is none."""
        return self._execution.request.run_id if self._execution else ""

    def wake(self) -> None:
        """Something changed: look again."""
        self._changed.set()

    async def run(self) -> None:
        """Looks, decides and writes until it is cancelled or its EvalRun is gone."""
        backoff = Backoff()
        try:
            while self._item() is not None:
                self._changed.clear()
                try:
                    wait = await self._pass()
                except TransientError as error:
                    self._log.warning("again later", error=str(error))
                    await asyncio.sleep(backoff.next(error.retry_after or 0.0))
                    continue
                except PermanentError as error:
                    # A quota, a right that is missing: somebody may mend it any time.
                    self._log.error("refused", error=str(error))
                    self._refused = str(error)
                    await asyncio.sleep(backoff.next())
                    continue
                except Exception:  # noqa: BLE001 - a run's trouble is not the others'
                    self._log.exception("failed inside")
                    await asyncio.sleep(backoff.next())
                    continue
                backoff.reset()
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._changed.wait()
        finally:
            await self._end_execution()

    def _item(self) -> EvalRun | None:
        """The EvalRun as it is; None: it is gone, or going."""
        item = self._around.watches.runs.get(self._key)
        if item is None or item.metadata.uid != self.uid:
            return None
        return item if item.metadata.deletion_timestamp is None else None

    async def _pass(self) -> float:
        """One look; returns the seconds after which the next is due at the latest."""
        item, watches = self._item(), self._around.watches
        self._touched = {key for key in self._touched if not watches.jobs.trusted(key)}
        if item is None:
            return 0.0
        if self._touched or not watches.fresh or not watches.runs.trusted(self._key):
            return STALE_SECONDS
        self._admission = admitted(item, self._admission)
        request = self._admission.request
        if request is None:
            await self._end_execution()
            await self._write(self._of_others(""))
            return await self._teller.tell(item, Sight(admission=self._admission))
        await self._supersede(item, request)
        if self._touched:
            return STALE_SECONDS
        return await self._go_on(item, request)

    # Executions

    async def _supersede(self, item: EvalRun, request: Request) -> None:
        """Sees that the execution that is meant is the only one: others are closed, then their Jobs go."""
        told = item.told()
        former = {_run_of(job) for job in self._jobs() if job.live}
        if told.state != "Complete":
            former.add(told.run_id)
        for run_id in sorted(former - {request.run_id, ""} - self._closed):
            with suppress(NotFoundError):
                await self._around.clients_of(run_id).run.close()
                self._log.info("execution superseded", run=run_id)
            self._closed.add(run_id)
        await self._write(self._of_others(request.run_id))
        present = self._execution
        if present is not None and present.request.run == request.run:
            present.request = request
            return
        await self._end_execution()
        self._closed.discard(request.run_id)
        self._witness = None
        self._execution = Execution(
            request,
            self._around.clients_of,
            adopts=[
                e.run_id for e in told.executions or () if e.run_id != request.run_id
            ],
            changed=self.wake,
        )

    async def _end_execution(self) -> None:
        if self._execution is not None:
            await self._execution.end()
            self._execution = None

    def _of_others(self, run_id: str) -> list[Write]:
        """Removes the Jobs that live of any other execution of this EvalRun."""
        return [
            DeleteJob(job.metadata.name, job.metadata.uid)
            for job in self._jobs()
            if job.live and _run_of(job) != run_id
        ]

    # The present one

    async def _go_on(self, item: EvalRun, request: Request) -> float:
        execution = self._present()
        jobs = self._jobs(request.run_id)
        if self._asked_again(item, execution):
            # What ended before counts no more; Jobs that are going are waited for.
            await self._write(forgive(jobs))
            if any(not job.live for job in jobs):
                return STALE_SECONDS
        owner = Owner(metadata=item.metadata, request=request)
        there = self._seats(request, jobs)
        world = execution.observed(
            workers=there.workers,
            scorers=there.scorers,
            replicas=request.placement.replicas(request.run),
            scorer_slots=SCORER_SLOTS,
        )
        actions = decide(request.run, world)
        execution.make_calls(actions)
        await self._write(self._writes(owner, there, jobs, actions))
        self._refused = ""
        leave = next((a for a in actions if isinstance(a, Leave)), None)
        due = await self._teller.tell(item, self._sight(item, there, leave))
        until = min(
            (a.until for a in actions if isinstance(a, Wait) and a.until is not None),
            default=float("inf"),
        )
        return max(min(due, until - time.monotonic()), 0.0)

    def _asked_again(self, item: EvalRun, execution: Execution) -> bool:
        """Whether a run that was told to have ended goes on: somebody had what is unscored asked again."""
        told, snapshot = item.told(), execution.known.snapshot
        return (
            told.run_id == execution.request.run_id
            and told.state in FINAL
            and execution.opened
            and not execution.problem
            and snapshot is not None
            and snapshot.state is RunState.RUNNING
        )

    def _writes(
        self,
        owner: Owner,
        there: Seats,
        jobs: Sequence[Job],
        actions: Sequence[Action],
    ) -> list[Write]:
        platform = self._around.platform
        match actions:
            case [Leave(Outcome.FINISHED)]:
                return [*dismiss(there), *expire(owner, jobs)]
            case [Leave()]:
                return dismiss(there)
        writes = upkeep(owner, there, platform)
        for action in actions:
            writes += writes_for(action, owner, there, platform)
        return list({_object(write): write for write in reversed(writes)}.values())

    def _seats(self, request: Request, jobs: Sequence[Job]) -> Seats:
        """What is there of the present execution, and since when deaths are counted."""
        run_id = request.run_id
        pods = [
            pod for pod in self._around.watches.pods.items() if _run_of(pod) == run_id
        ]
        progress = self._present().known.progress()
        self._witness = witnessed(self._witness, pods, progress)
        return seats(
            run_id,
            request.run,
            self.uid,
            jobs=jobs,
            pods=pods,
            moment=Moment(now=time.monotonic(), wall=datetime.now(UTC)),
            witness=self._witness,
        )

    def _present(self) -> Execution:
        if self._execution is None:
            raise AssertionError("an execution is made before it goes on")
        return self._execution

    def _jobs(self, run_id: str | None = None) -> list[Job]:
        """Jobs of this EvalRun, or all of one execution."""
        return [
            job
            for job in self._around.watches.jobs.items()
            if (_run_of(job) == run_id if run_id else _owner_of(job) == self.uid)
        ]

    async def _write(self, writes: Iterable[Write]) -> None:
        for write in writes:
            self._touched.add(await self._around.writer.carry_out(write))

    # What is told

    def _sight(self, item: EvalRun, there: Seats, leave: Leave | None) -> Sight:
        execution = self._present()
        if self._admission is None:
            raise AssertionError("an EvalRun is admitted before it is told of")
        problem = execution.problem
        if leave is not None and leave.outcome is Outcome.FAILED:
            problem = leave.message
        refused = (self._refused,) if self._refused else ()
        return Sight(
            admission=self._admission,
            snapshot=execution.known.snapshot,
            hindrances=(*there.hindrances, *refused),
            lost=bool(there.lost),
            problem=problem,
            waiting="waits for the aggregator to accept it",
            found=self._was_found(item, execution),
            store=self._around.store,
        )

    def _was_found(self, item: EvalRun, execution: Execution) -> bool:
        """Whether the execution had ended before it was asked for now, as far as was told."""
        told = item.told()
        complete = told.condition(Kind.COMPLETE)
        if told.run_id == execution.request.run_id and told.state not in {
            "",
            "Pending",
        }:
            return complete is not None and complete.reason == "AlreadyComplete"
        return execution.found


def _run_of(item: Job | Pod) -> str:
    return (item.metadata.labels or {}).get(RUN_LABEL, "")


def _owner_of(job: Job) -> str:
    owners = job.metadata.owner_references or ()
    return next((owner.uid for owner in owners if owner.controller), "")


def _object(write: Write) -> str:
    """Which Job a write is about: of two about one, the first is made, and then all is looked at again."""
    match write:
        case PatchJob() | DeleteJob():
            return write.name
    return str(write.manifest["metadata"]["name"])
