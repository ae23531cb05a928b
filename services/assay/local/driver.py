"""The driver of `assay run`: looks, asks `decide`, carries the actions out with processes and calls.

It holds no rules: what to start, restart and finish is `domain.decide`'s business.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress

from assay.domain.actions import (
    Action,
    EnsureWorkers,
    FinishRun,
    Leave,
    OpenRun,
    RetryUnscored,
    Service,
    StartScorer,
    StartService,
    StopScorer,
    StopWorkers,
    Wait,
)
from assay.domain.decide import decide
from assay.domain.errors import AssayError
from assay.domain.judge import all_asked
from assay.domain.observed import Death, Ending
from assay.domain.run import Run
from assay.domain.snapshot import RunSnapshot
from assay.driving.asking import Asking
from assay.driving.calls import Calls
from assay.driving.notices import Deaths, Troubles, news
from assay.local.launch import Launch
from assay.local.listener import Listener
from assay.local.part import Part
from assay.local.world import World

_LEAVE_SECONDS = 2.0
"""What workers and scorers get after SIGTERM once the run is left: nothing of theirs is wanted any more."""

_STOP_SECONDS = 12.0
"""What services get after SIGTERM; above their own grace."""

_WATCH_SECONDS = 0.2


class Driver:
    """Drives one run to its end."""

    def __init__(
        self, run: Run, launch: Launch, listener: Listener, *, retry: bool
    ) -> None:
        self._run = run
        self._launch = launch
        self._listener = listener
        self._changed = asyncio.Event()
        self._at_once = asyncio.Event()
        self._ending = False
        self.world = World(run, launch, self._changed.set, self._died, retry=retry)
        self._calls = Calls(self._changed.set, self._cannot_go_on)
        self._troubles = Troubles()
        self._deaths = Deaths()
        self._models = all_asked(run)

    def stop(self) -> None:
        """What a first Ctrl-C asks for: finish what is in flight, then go. A second: go at once."""
        if self.world.drain:
            self._at_once.set()
        else:
            self.world.drain = True
            self._listener.draining()
        self._changed.set()

    async def drive(self) -> Leave | None:
        """Returns how it ended when no process is left; None: it was told to go at once."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._end_processes)
            first = self._decide_and_act()
            # Processes start meanwhile: importing grpc takes as long as a service needs to listen.
            from assay.local.clients import open_clients  # noqa: PLC0415

            clients = await stack.enter_async_context(open_clients(self._launch))
            self._client = clients.run
            self._asking = Asking(
                self._run,
                clients,
                self.world.known,
                self._calls,
                hearer=self._listener,
                looked=self._looked,
            )
            stack.push_async_callback(self._calls.cancel)
            leave = first
            while leave is None and not self._at_once.is_set():
                leave = await self._step()
            return leave

    def _decide_and_act(self) -> Leave | None:
        """Carries out what can be done before there are clients: starting processes."""
        actions = decide(self._run, self.world.observed())
        for action in actions:
            if isinstance(action, StartService | EnsureWorkers):
                self._carry_out(action)
        return next((a for a in actions if isinstance(a, Leave)), None)

    async def _step(self) -> Leave | None:
        self._changed.clear()
        if self.world.opened:
            self._asking.follow(_WATCH_SECONDS)
        until: float | None = None
        for action in decide(self._run, self.world.observed()):
            if isinstance(action, Leave):
                return action
            if isinstance(action, Wait):
                until = action.until
            else:
                self._carry_out(action)
        timeout = None if until is None else max(until - time.monotonic(), 0.0)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        return None

    # Carrying out

    def _carry_out(self, action: Action) -> None:
        match action:
            case StartService(service=Service.DATASET):
                self.world.services[Service.DATASET].start(self._launch.dataset)
            case StartService():
                self.world.services[Service.AGGREGATOR].start(self._launch.aggregator)
            case EnsureWorkers(model=key):
                model = self._models[key]
                self.world.workers[key].start(lambda _: self._launch.infer(model))
            case StopWorkers(model=key):
                self.world.workers[key].terminate()
            case StartScorer(task=task):
                self.world.scorers[task].start(lambda _: self._launch.scorer(task))
            case StopScorer(task=task):
                self.world.scorers[task].terminate()
            case _:
                self._call(action)

    def _call(self, action: Action) -> None:
        match action:
            case OpenRun():
                self._calls.make(action, self._open)
            case RetryUnscored():
                self._calls.make(action, self._retry)
            case FinishRun():
                # The page of the results before must not stand beside new ones; it is written when all
                # is done.
                with suppress(OSError):
                    (self._launch.folder.path / "report.html").unlink()
                self._asking.make(action)
            case _:
                self._asking.make(action)

    async def _open(self) -> None:
        incarnation = self.world.services[Service.AGGREGATOR].incarnation
        snapshot = await self._client.open(self._run)
        self.world.open_acknowledged(incarnation)
        self._looked(snapshot)

    async def _retry(self) -> None:
        snapshot = await self._client.retry()
        self.world.retried = True
        self._looked(snapshot)

    # Looking

    def _looked(self, snapshot: RunSnapshot) -> None:
        before = self.world.known.snapshot
        if not self.world.known.looked(snapshot):
            return
        self._listener.looked(snapshot)
        told = news(self._run, before, snapshot)
        for sentence in (*self._troubles.news(snapshot), *told):
            self._listener.noticed(sentence)

    def _died(self, role: str, death: Death) -> None:
        if self._ending or self.world.drain or death.ending is Ending.DONE:
            return
        for sentence in self._deaths.news(role, death):
            self._listener.noticed(sentence)

    def _cannot_go_on(self, error: AssayError) -> None:
        self.world.fatal = self.world.fatal or error

    # Ending

    async def _end_processes(self) -> None:
        """Ends everything, what depends on others first; nothing outlives the driver."""
        world = self.world
        self._ending = True
        try:
            workers = (*world.workers.values(), *world.scorers.values())
            await self._end(workers, _LEAVE_SECONDS)
            await self._end(tuple(world.services.values()), _STOP_SECONDS)
        finally:
            for part in world.parts:
                part.kill()

    async def _end(self, parts: tuple[Part, ...], grace: float) -> None:
        for part in parts:
            part.terminate()
        gone = asyncio.gather(*(part.gone() for part in parts))
        hurry = asyncio.create_task(self._at_once.wait())
        await asyncio.wait(
            (gone, hurry), timeout=grace, return_when=asyncio.FIRST_COMPLETED
        )
        hurry.cancel()
        for part in parts:
            part.kill()
        await gone
