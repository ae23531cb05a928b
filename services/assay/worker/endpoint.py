"""Whose failure is it: the sample's, or the endpoint's as a whole? A pure state machine that decides.

    UNKNOWN   nothing has been answered: one wave of requests goes out, no more
    WORKING   answers come: failures are the samples' own
    SUSPECT   it worked, and now every request fails: nothing goes out until a probe has told
    DOWN      the endpoint as a whole is unusable: samples stay pending, probes go out with back-off

While it is not certain that the endpoint works, no failure is final: the caller holds failures back until
`vouched` and forgets them when the state turns DOWN.
"""

from __future__ import annotations

from enum import StrEnum

from assay.domain.lease import EndpointCondition
from assay.domain.sample import UnscoredReason
from assay.worker.engines.outcome import (
    Answer,
    AttemptFailure,
    EndpointFailure,
    Outcome,
)

FIRST_WAVE_SECONDS = 5.0
"""After this from the first failure the slow members of the first wave are not waited for."""
BUSY_SECONDS = 30.0
"""A server that says it is busy is believed for this long without one answer: long answers may be why."""
_FEW = 3
_STREAK = 8


class EndpointState(StrEnum):
    """What is known of the endpoint; the module's docstring says what each means."""

    UNKNOWN = "UNKNOWN"
    WORKING = "WORKING"
    SUSPECT = "SUSPECT"
    DOWN = "DOWN"


class EndpointGate:
    """Collects outcomes, says what may go out, and what condition to report."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.state = EndpointState.UNKNOWN
        self.condition: EndpointCondition | None = None
        """What to tell the aggregator; None: nothing is known yet."""
        self.answers = 0
        """Outcomes that showed a working endpoint."""
        self.streak = 0
        """Failures since the last sign that it works."""
        self.streak_id = 0
        """Changes whenever a streak ends: names the failures of one streak."""
        self.by_request = False
        """While DOWN: it accepts connections, so only a request can tell when it works again."""
        self._kinds: set[str] = set()
        self._busy = False
        self._since = 0.0
        self._last = ""

    @property
    def vouched(self) -> bool:
        """Whether failures are the samples' own."""
        return self.state is EndpointState.WORKING and not self.streak

    def may_start(self, in_flight: int, limit: int) -> bool:
        """Whether one more request may go out, the in-flight limit apart."""
        if self.state is EndpointState.UNKNOWN:
            return in_flight + self.streak < max(1, limit)
        return self.state is EndpointState.WORKING

    def landed(self, outcome: Outcome, now: float) -> None:
        """Takes in the outcome of one sample's request."""
        match outcome:
            case Answer():
                self._works()
            case EndpointFailure():
                self.went_down(outcome)
            case AttemptFailure() if self._says_it_works(outcome):
                self._works()
            case AttemptFailure():
                self._since = self._since if self.streak else now
                self.streak += 1
                self._busy = self._busy or outcome.overloaded
                self._kinds.add(outcome.kind)
                self._last = outcome.message

    def _says_it_works(self, failure: AttemptFailure) -> bool:
        """Once it has worked, a refused or empty answer is about the sample."""
        return self.state is EndpointState.WORKING and _of_this_request(failure)

    def wants_probe(
        self, *, in_flight: int, limit: int, waiting: bool, held_back: bool, now: float
    ) -> bool:
        """Whether it is time to find out by a probe; turns the state to DOWN or SUSPECT where it is.

        Args:
            in_flight: requests on their way.
            limit: requests that may be.
            waiting: samples are left that have not been asked yet.
            held_back: the only thing left to do is to make failures final.
            now: the clock.
        """
        still = in_flight == 0
        if self.state is EndpointState.UNKNOWN and self.streak:
            wave = self.streak >= max(1, limit) or (still and not waiting)
            deadline = self.first_wave_deadline()
            if wave or (deadline is not None and now >= deadline):
                self._fails("first_wave_failed")
        elif self.state is EndpointState.WORKING and self.streak:
            long = self.streak >= max(_STREAK, 2 * limit)
            believed = self._busy and now - self._since < BUSY_SECONDS
            if (long and not believed) or (held_back and still):
                self.state = EndpointState.SUSPECT
        return self.state in {EndpointState.SUSPECT, EndpointState.DOWN}

    def first_wave_deadline(self) -> float | None:
        """When `wants_probe` may change its mind without anything landing; None: never."""
        if self.state is EndpointState.UNKNOWN and self.streak >= _FEW:
            return self._since + (BUSY_SECONDS if self._busy else FIRST_WAVE_SECONDS)
        return None

    def connected(self) -> None:
        """It accepts connections again; whether it answers, the next wave tells."""
        self.state = EndpointState.UNKNOWN
        self.condition = EndpointCondition(usable=True)
        self._end_streak()

    def probed(self, outcome: Outcome) -> None:
        """Takes in the outcome of a probe by request."""
        match outcome:
            case Answer():
                self._works()
            case EndpointFailure():
                self.went_down(outcome)
            case AttemptFailure() if (
                _of_this_request(outcome) and outcome.kind not in self._kinds
            ):
                self._works()  # it refuses the probe, and not as it fails the samples
            case AttemptFailure():
                self._last = outcome.message
                word = "every_request_fails" if self.answers else "first_wave_failed"
                self._fails(word)

    def _works(self) -> None:
        self.answers += 1
        if self.vouched:
            return
        self.state = EndpointState.WORKING
        self.condition = EndpointCondition(usable=True)
        self._end_streak()

    def _fails(self, word: str) -> None:
        self.went_down(
            EndpointFailure(
                reason=word,
                message=(
                    f"every request to the endpoint {self._address} fails the same way: {self._last}; "
                    "see the endpoint's own log"
                ),
                connected=True,
            )
        )

    def went_down(self, failure: EndpointFailure) -> None:
        """The endpoint as a whole is unusable."""
        self.state = EndpointState.DOWN
        self.by_request = failure.connected
        self.condition = EndpointCondition(
            usable=False, reason=failure.reason, message=failure.message
        )

    def _end_streak(self) -> None:
        self.streak = 0
        self.streak_id += 1
        self._busy = False
        self._kinds.clear()


def _of_this_request(failure: AttemptFailure) -> bool:
    return failure.permanent or failure.reason is UnscoredReason.EMPTY_ANSWER
