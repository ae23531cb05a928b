"""Asks a suspect or dead endpoint, with back-off, whether it works again; started by the dispatcher."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Protocol

from assay.worker.backoff import reconnect_delay
from assay.worker.contact import Timing
from assay.worker.endpoint import EndpointGate, EndpointState
from assay.worker.engines.openai import Attempt
from assay.worker.engines.outcome import AttemptFailure, EndpointFailure

_RETRY_AFTER_CAP_SECONDS = 60.0


class ProbedEngine(Protocol):
    """The part of an engine that probes need."""

    async def ask(self, body: bytes) -> Attempt:
        """One request; whatever happens comes back as an outcome."""
        ...

    async def reach(self, connections: int) -> EndpointFailure | None:
        """Connects ahead of requests; says why where it cannot."""
        ...

    def canary(self, *, with_picture: bool) -> bytes:
        """A body that any working endpoint answers."""
        ...


class Prober:
    """One probe at a time, for as long as the gate does not know the endpoint to work."""

    def __init__(
        self,
        engine: ProbedEngine,
        gate: EndpointGate,
        timing: Timing,
        on_probed: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._gate = gate
        self._timing = timing
        self._on_probed = on_probed
        self._trouble = asyncio.Event()
        self._with_picture = False
        self._stopped = False
        self.requests = 0

    def wake(self, *, with_picture: bool) -> None:
        """Starts probing unless it goes on already."""
        self._with_picture = with_picture
        self._trouble.set()

    def stop(self) -> None:
        """Sends no further probe."""
        self._stopped = True

    async def run(self) -> None:
        """Probes whenever woken, until cancelled."""
        while True:
            await self._trouble.wait()
            self._trouble.clear()
            probes = 0
            while self._needed():
                await asyncio.sleep(self._pause(probes))
                if not self._needed():
                    break  # an answer came in meanwhile
                probes += 1
                left_alone = await self._probe()
                self._on_probed()
                await asyncio.sleep(left_alone)

    def _needed(self) -> bool:
        unclear = {EndpointState.SUSPECT, EndpointState.DOWN}
        return not self._stopped and self._gate.state in unclear

    def _pause(self, probes: int) -> float:
        if probes == 0 and self._gate.streak:
            return 0.0  # requests fail, and only a probe can tell whose fault it is
        first, most = self._timing.probe_first, self._timing.probe_most
        dice = random.random()  # noqa: S311 - jitter
        return reconnect_delay(probes + 1, first, most, dice)

    async def _probe(self) -> float:
        """Probes once; returns the seconds the endpoint asked to be left alone."""
        gate = self._gate
        if gate.state is EndpointState.DOWN and not gate.by_request:
            failure = await self._engine.reach(1)
            if failure is None:
                gate.connected()
            else:
                gate.went_down(failure)
            return 0.0
        canary = self._engine.canary(with_picture=self._with_picture)
        attempt = await self._engine.ask(canary)
        self.requests += 1
        gate.probed(attempt.outcome)
        if isinstance(attempt.outcome, AttemptFailure) and self._needed():
            return min(attempt.outcome.retry_after or 0.0, _RETRY_AFTER_CAP_SECONDS)
        return 0.0
