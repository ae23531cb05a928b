"""The loop of one EvalRun: look, decide, write; for as long as it is there and we lead.

`manager` runs one per EvalRun. It holds nothing that a controller in its place could not learn: the spec and
the last status say which execution is meant, Jobs and pods say who is at work, services say the rest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from assay.config.chart import GpuPhases
from assay.controller.conditions import Kind
from assay.controller.evalrun import Admission, EvalRun, Request, admitted
from assay.controller.execution import Execution
from assay.controller.holdings import Holdings, left_over, removals, run_of
from assay.controller.jobs import Owner
from assay.controller.metrics import ControllerMetrics
from assay.controller.plan import (
    Write,
    dismiss,
    expire,
    forgive,
    upkeep,
    writes_for,
)
from assay.controller.pods import Platform
from assay.controller.resting import Resting
from assay.controller.seats import Seats
from assay.controller.status import FINAL, SCORED
from assay.controller.telling import TICK_SECONDS, Teller
from assay.controller.watches import Watches
from assay.controller.words import CANNOT, Sight
from assay.controller.workloads import Job
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
        store: below which results lie, for people.
        reporter: of Events: the controller's pod.
        metrics: told of every look.
    """

    watches: Watches
    writer: Writer
    platform: Platform
    clients_of: Callable[[str], Clients]
    resting: Resting
    store: str
    reporter: str
    metrics: ControllerMetrics


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
        self._holdings = Holdings(self.uid, around.watches, around.writer)
        self._closed: set[str] = set()
        self._teller = Teller(around.writer, around.reporter)
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
                    with self._around.metrics.looking():
                        wait = await self._pass()
                except TransientError as error:
                    self._log.warning("again later", error=str(error))
                    await asyncio.sleep(backoff.next(error.retry_after or 0.0))
                    continue
                except PermanentError as error:
                    self._log.error("refused", error=str(error))
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
            if self._admission and self._admission.request:
                self._around.resting.leave(self._admission.request.run_id)
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
        if item is None:
            return 0.0
        seen = self._holdings.settled and watches.runs.trusted(self._key)
        if not seen or not watches.fresh:
            return STALE_SECONDS
        self._admission = admitted(item, self._admission)
        request = self._admission.request
        if request is None:
            await self._end_execution()
            await self._holdings.write(removals(self._holdings.others("")))
            return await self._teller.tell(item, Sight(admission=self._admission))
        await self._supersede(item, request)
        if not self._holdings.settled:
            return STALE_SECONDS
        if self._rests(item, request):
            return await self._rest(item, request)
        self._begin(item, request)
        return await self._go_on(item, request)

    # Executions

    async def _supersede(self, item: EvalRun, request: Request) -> None:
        """Sees that the execution that is meant is the only one: others are closed, then their Jobs go."""
        told = item.told()
        others = self._holdings.others(request.run_id)
        former = {run_of(job) for job in others}
        if told.run_id != request.run_id:
            self._around.resting.leave(told.run_id)
        if told.state != "Complete":
            former.add(told.run_id)
        for run_id in sorted(former - {request.run_id, ""} - self._closed):
            with suppress(NotFoundError):
                await self._around.clients_of(run_id).run.close()
                self._log.info("execution superseded", run=run_id)
            self._closed.add(run_id)
        await self._holdings.write(removals(others))
        present = self._execution
        if present is not None and present.request.run != request.run:
            await self._end_execution()

    def _begin(self, item: EvalRun, request: Request) -> None:
        """Sees that the execution is looked after."""
        if self._execution is not None:
            self._execution.request = request
            return
        self._closed.discard(request.run_id)
        self._holdings.begin()
        self._around.resting.leave(request.run_id)
        former = [e.run_id for e in item.told().executions or ()]
        if request.answers_of:
            former.append(request.answers_of)
        self._execution = Execution(
            request,
            self._around.clients_of,
            adopts=[run_id for run_id in former if run_id != request.run_id],
            changed=self.wake,
        )

    async def _end_execution(self) -> None:
        if self._execution is not None:
            await self._execution.end()
            self._execution = None

    def _rests(self, item: EvalRun, request: Request) -> bool:
        """Whether all was told of an execution that has ended, and nobody had it go on."""
        told = item.told()
        failed = told.condition(Kind.FAILED)
        if (
            (self._execution is not None and not self._execution.final)
            or told.run_id != request.run_id
            or told.state not in FINAL
            or told.observed_generation != item.metadata.generation
            or (failed is not None and failed.reason in CANNOT.values())
        ):
            return False
        return self._around.resting.rest(request.run_id, self.wake)

    async def _rest(self, item: EvalRun, request: Request) -> float:
        """Of an execution that has ended nothing is left but its Jobs, as long as they may stay."""
        await self._end_execution()
        jobs = self._holdings.jobs(request.run_id)
        owner = Owner(metadata=item.metadata, request=request)
        gone = left_over(jobs, scored=item.told().state in SCORED)
        await self._holdings.write([*gone, *expire(owner, jobs)])
        return TICK_SECONDS

    # The present one

    async def _go_on(self, item: EvalRun, request: Request) -> float:
        execution = self._present()
        jobs = self._holdings.jobs(request.run_id)
        if self._asked_again(item, execution):
            # What ended before counts no more; Jobs that are going are waited for.
            execution.known.forgive()
            await self._holdings.write(forgive(jobs))
            if any(not job.live for job in jobs):
                return STALE_SECONDS
        owner = Owner(metadata=item.metadata, request=request)
        there = self._holdings.seats(request, execution.known.progress())
        world = execution.observed(
            workers=there.workers,
            scorers=there.scorers,
            replicas=request.placement.replicas(request.run),
            scorer_slots=SCORER_SLOTS,
            sequential=request.placement.gpu_phases is GpuPhases.SEQUENTIAL,
        )
        actions = decide(request.run, world)
        execution.make_calls(actions)
        refusal: PermanentError | None = None
        try:
            await self._holdings.write(self._writes(owner, there, jobs, actions))
        except PermanentError as error:
            # A quota, a right that is missing: people are told, and it is tried again.
            refusal = error
        leave = next((a for a in actions if isinstance(a, Leave)), None)
        sight = self._sight(item, there, leave, refusal)
        due = await self._teller.tell(item, sight)
        if refusal is not None:
            raise refusal
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
                # What lives is seen to once this was told.
                return expire(owner, jobs)
            case [Leave()]:
                return dismiss(there)
        writes = upkeep(owner, there, platform)
        for action in actions:
            writes += writes_for(action, owner, there, platform)
        return writes

    def _present(self) -> Execution:
        if self._execution is None:
            raise AssertionError("an execution is made before it goes on")
        return self._execution

    # What is told

    def _sight(
        self,
        item: EvalRun,
        there: Seats,
        leave: Leave | None,
        refusal: PermanentError | None,
    ) -> Sight:
        execution = self._present()
        if self._admission is None:
            raise AssertionError("an EvalRun is admitted before it is told of")
        problem = execution.problem
        if leave is not None and leave.outcome is Outcome.FAILED:
            problem = leave.message
        refused = (str(refusal),) if refusal else ()
        return Sight(
            admission=self._admission,
            snapshot=execution.known.snapshot,
            hindrances=(*there.hindrances, *refused),
            lost=bool(there.lost),
            problem=problem,
            reason=execution.reason,
            waiting="waits for the aggregator to accept it",
            found=self._was_found(item, execution),
            store=f"{self._around.store.rstrip('/')}/runs/{self.run_id}",
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
