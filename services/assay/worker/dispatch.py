"""Keeps requests in flight: takes held samples in, turns each into one completion, asks again where it helps.

Called by the lease loop, which owns leases and commits; everything here is about the endpoint.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from typing import Protocol

import structlog

from assay.domain.completion import Completion, Failure, history_digest
from assay.domain.errors import CorruptError, StoreUnavailableError
from assay.domain.lease import EndpointCondition
from assay.domain.run import Endpoint
from assay.domain.sample import UnscoredReason
from assay.worker.backoff import reconnect_delay, retry_delay
from assay.worker.contact import Timing
from assay.worker.endpoint import EndpointGate, EndpointState
from assay.worker.engines.openai import Attempt
from assay.worker.engines.outcome import Answer, AttemptFailure, EndpointFailure
from assay.worker.held import HeldSample
from assay.worker.limit import AdaptiveLimit
from assay.worker.pictures import PictureReader
from assay.worker.preparing import BATCH, BodyEngine, Built, Preparer, pictured
from assay.worker.probing import ProbedEngine, Prober

_log = structlog.get_logger(__name__)

_PREPARED_BYTES = 48 * 1024 * 1024
_READ_ATTEMPTS = 8
_LOGGED = 300
"""Characters of what was said about a sample; all of it stands in its record."""
_REFUSALS = 3
"""A sample that the endpoint refuses as a whole this often, answering others in between, is the cause."""


class Engine(BodyEngine, ProbedEngine, Protocol):
    """What generates: one attempt at a time, outcomes instead of exceptions."""

    address: str


@dataclass(frozen=True, slots=True)
class Events:
    """What the dispatcher tells the lease loop."""

    completed: Callable[[HeldSample, Completion], None]
    """A sample has its completion."""
    given_up: Callable[[HeldSample], None]
    """A sample whose lease is lost is not asked again."""
    condition: Callable[[EndpointCondition], None]
    """The endpoint's condition has changed."""


class Dispatcher:
    """One worker's requests; every method but `run` and `finish` returns at once."""

    def __init__(
        self,
        engine: Engine,
        endpoint: Endpoint,
        timing: Timing,
        events: Events,
        *,
        pictures: PictureReader | None = None,
    ) -> None:
        self._engine = engine
        self._pictures = pictures or PictureReader()
        self._endpoint = endpoint
        self._timing = timing
        self._events = events
        self._clock = time.monotonic
        self.gate = EndpointGate(engine.address)
        self.limit = AdaptiveLimit(endpoint.timeout)
        self.in_flight = 0
        self._asked = 0
        self.latency = 0.0
        """Smoothed seconds of a request; 0: none has ended yet."""
        self.results: Counter[str] = Counter()
        """Requests by how they ended."""
        self._ready: deque[HeldSample] = deque()
        self._prepared: deque[tuple[HeldSample, bytes]] = deque()
        self._prepared_bytes = 0
        self._later: list[tuple[float, int, HeldSample]] = []
        self._held_back: list[tuple[HeldSample, Completion]] = []
        self._order = count()
        self._stopped = False
        self._pictured = False
        self._reported: EndpointCondition | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._work = asyncio.Event()
        self._prober = Prober(engine, self.gate, timing, self._pump)
        self._still = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None

    @property
    def requests(self) -> int:
        """Requests made so far, probes included."""
        return self._asked + self._prober.requests

    def add(self, samples: Iterable[HeldSample]) -> None:
        """Takes samples in."""
        self._ready.extend(samples)
        self._work.set()

    def go_on(self, held: HeldSample) -> None:
        """Takes the next turn of a conversation in: what has begun goes first."""
        self._ready.appendleft(held)
        self._work.set()

    def grant(self, most: int) -> None:
        """Takes over how many requests may be in flight."""
        if most != self.limit.most:
            self.limit.grant(most)
            self._pump()

    def stop(self) -> None:
        """Starts nothing from now on; what is in flight goes on."""
        self._stopped = True
        self._prober.stop()
        if self.in_flight == 0:
            self._still.set()

    async def finish(self, grace: float) -> None:
        """After `stop`: returns when nothing is in flight, or after `grace` seconds."""
        try:
            async with asyncio.timeout(grace):
                await self._still.wait()
        except TimeoutError:
            _log.warning("requests were left unanswered", count=self.in_flight)

    async def run(self) -> None:
        """Works until cancelled.

        Raises:
            StoreUnavailableError: pictures cannot be read, after several attempts.
        """
        preparer = Preparer(self._engine, self._pictures)
        try:
            async with asyncio.TaskGroup() as self._group:
                self._group.create_task(self._prepare(preparer))
                self._group.create_task(self._prober.run())
                self._pump()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            preparer.close()

    async def _prepare(self, preparer: Preparer) -> None:
        await self._work.wait()
        # Connections are opened while the first bodies are built; a dead endpoint shows here already.
        wave = max(1, min(self.limit.most, len(self._ready)))
        failure = await self._engine.reach(wave)
        if failure is not None:
            self.gate.went_down(failure)
            self._pump()
        while True:
            while batch := self._next_batch():
                for held, built in zip(batch, await preparer.build(batch), strict=True):
                    self._take_built(held, built)
                self._pump()
            self._work.clear()
            await self._work.wait()

    def _next_batch(self) -> list[HeldSample]:
        # Bodies for the next wave are ready when this one ends, all at once in the worst case.
        room = max(1, self.limit.present) - len(self._prepared)
        if self._stopped or self._prepared_bytes > _PREPARED_BYTES:
            return []
        batch: list[HeldSample] = []
        while self._ready and len(batch) < min(room, BATCH):
            held = self._ready.popleft()
            if not held.dropped:
                batch.append(held)
        return batch

    def _take_built(self, held: HeldSample, built: Built) -> None:
        if isinstance(built, bytes):
            self._prepared.append((held, built))
            self._prepared_bytes += len(built)
        elif isinstance(built, CorruptError):
            failure = Failure(
                reason=UnscoredReason.PICTURE_INVALID, message=str(built)[:500]
            )
            self._complete(held, _failed(held, failure, 0.0))
        else:
            self._read_again(held, built)

    def _read_again(self, held: HeldSample, error: StoreUnavailableError) -> None:
        held.read_failures += 1
        if held.read_failures >= _READ_ATTEMPTS:
            raise error
        _log.warning("a picture could not be read", error=str(error))
        first, most = self._timing.reconnect_first, self._timing.reconnect_most
        dice = random.random()  # noqa: S311 - jitter
        pause = reconnect_delay(held.read_failures, first, most, dice)
        self._ask_later(held, pause)

    def _pump(self) -> None:
        """Starts whatever may start, and finds out what else is due; called after every event."""
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            self._ready.appendleft(heapq.heappop(self._later)[2])
        limit, gate = self.limit, self.gate
        self._settle()
        while (
            self._prepared
            and not self._stopped
            and self.in_flight < limit.present
            and gate.may_start(self.in_flight, limit.most)
        ):
            self._start(*self._prepared.popleft())
        if self._ready and len(self._prepared) < limit.present:
            self._work.set()
        waiting = bool(self._ready or self._prepared)
        if gate.wants_probe(
            in_flight=self.in_flight,
            limit=limit.most,
            waiting=waiting,
            held_back=bool(self._held_back) and not (waiting or self._later),
            now=now,
        ):
            self._prober.wake(with_picture=self._pictured)
        self._settle()
        self._arm_timer(now)

    def _start(self, held: HeldSample, body: bytes) -> None:
        self._prepared_bytes -= len(body)
        if held.dropped:
            return
        assert self._group is not None
        held.in_flight = True
        self.in_flight += 1
        self._pictured = self._pictured or pictured(held)
        self._group.create_task(self._ask(held, body))

    async def _ask(self, held: HeldSample, body: bytes) -> None:
        started = self._clock()
        attempt = await self._engine.ask(body)
        held.in_flight = False
        held.requests += 1
        self.in_flight -= 1
        self._asked += 1
        self._note(started, attempt)
        self._landed(held, attempt)
        self._pump()
        if self._stopped and self.in_flight == 0:
            self._still.set()

    def _note(self, started: float, attempt: Attempt) -> None:
        outcome, latency = attempt.outcome, attempt.latency
        self.results[
            "answered" if isinstance(outcome, Answer) else str(outcome.reason)
        ] += 1
        self.latency += (latency - self.latency) * (0.05 if self.latency else 1.0)
        self.limit.landed(
            started=started,
            now=self._clock(),
            overloaded=isinstance(outcome, AttemptFailure) and outcome.overloaded,
            latency=latency,
        )

    def _landed(self, held: HeldSample, attempt: Attempt) -> None:
        outcome = attempt.outcome
        if held.streak_id != self.gate.streak_id:
            held.streak_id, held.streak_base = self.gate.streak_id, held.attempts
        self.gate.landed(outcome, self._clock())
        match outcome:
            case Answer():
                self._complete(held, _answered(held, outcome, attempt.latency))
            case EndpointFailure():
                self._refused(held, outcome, attempt.latency)
            case AttemptFailure():
                self._attempt_failed(held, outcome, attempt.latency)

    def _refused(
        self, held: HeldSample, outcome: EndpointFailure, latency: float
    ) -> None:
        if outcome.connected and self.gate.answers > held.answers_seen:
            held.answers_seen = self.gate.answers
            held.refusals += 1
        if held.refusals >= _REFUSALS:
            failure = Failure(
                reason=UnscoredReason.REQUEST_REJECTED, message=outcome.message[:500]
            )
            self._complete(held, _failed(held, failure, latency))
        else:
            self._ask_later(held, 0.0)

    def _attempt_failed(
        self, held: HeldSample, outcome: AttemptFailure, latency: float
    ) -> None:
        held.attempts += 1
        if outcome.permanent or held.attempts >= self._endpoint.retry:
            failure = Failure(reason=outcome.reason, message=outcome.message[:500])
            self._held_back.append((held, _failed(held, failure, latency)))
            return
        pause = retry_delay(
            held.attempts,
            self._endpoint.wait,
            outcome.retry_after,
            random.random(),  # noqa: S311 - jitter
        )
        self._ask_later(held, pause)

    def _ask_later(self, held: HeldSample, pause: float) -> None:
        if not held.lease_id:
            self._events.given_up(held)
            return
        heapq.heappush(self._later, (self._clock() + pause, next(self._order), held))

    def _settle(self) -> None:
        """Makes held-back failures final, or forgets them, as the endpoint's state says."""
        gate = self.gate
        if self._held_back and gate.vouched:
            final, self._held_back = self._held_back, []
            for held, completion in final:
                self._complete(held, completion)
        elif self._held_back and gate.state is EndpointState.DOWN:
            forgotten, self._held_back = self._held_back, []
            for held, _ in forgotten:
                held.attempts = held.streak_base
                self._ask_later(held, 0.0)
        if gate.state is EndpointState.DOWN:
            for _, _, held in self._later:
                if held.streak_id == gate.streak_id:
                    held.attempts = held.streak_base
        if gate.condition is not None and gate.condition != self._reported:
            self._reported = gate.condition
            _log.info(
                "endpoint",
                usable=gate.condition.usable,
                reason=gate.condition.reason,
                message=gate.condition.message,
            )
            self._events.condition(gate.condition)

    def _complete(self, held: HeldSample, completion: Completion) -> None:
        held.answered = True
        if completion.failure is not None:
            _log.warning(
                "a sample ends unscored",
                sample_id=held.sample.sample_id,
                reason=completion.failure.reason,
                message=completion.failure.message[:_LOGGED],
            )
        self._events.completed(held, completion)

    def _arm_timer(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        moments = [self._later[0][0]] if self._later else []
        deadline = self.gate.first_wave_deadline()
        if deadline is not None:
            moments.append(deadline)
        if moments and not self._stopped:
            self._timer = asyncio.get_running_loop().call_later(
                max(0.001, min(moments) - now), self._pump
            )


def _answered(held: HeldSample, answer: Answer, latency: float) -> Completion:
    return Completion(
        ordinal=held.sample.ordinal,
        turn=held.sample.turn,
        text=answer.text,
        finish_reason=answer.finish_reason,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        attempts=held.requests,
        latency=latency,
        history_digest=history_digest(held.sample.history),
    )


def _failed(held: HeldSample, failure: Failure, latency: float) -> Completion:
    return Completion(
        ordinal=held.sample.ordinal,
        turn=held.sample.turn,
        failure=failure,
        attempts=held.requests,
        latency=latency,
        history_digest=history_digest(held.sample.history),
    )
