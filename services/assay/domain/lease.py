"""Leases, as both sides of WorkService speak of them: samples handed to one worker for a time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from assay.domain.prompt import Prompt
from assay.domain.task import TaskId


class QueueState(StrEnum):
    """Whether a worker should go on asking a queue for work.

    OPEN: there is, or may yet be, work. DRAIN: finish what is held and exit; others go on.
    CLOSED: closed for good: exit when nothing is held.
    """

    OPEN = "OPEN"
    DRAIN = "DRAIN"
    CLOSED = "CLOSED"


class CommitOutcome(StrEnum):
    """What became of one committed completion.

    WON: durable, and the record that counts. LOST: an earlier record counts. REFUSED: the ordinal is
    not in the task.
    """

    WON = "WON"
    LOST = "LOST"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedSample:
    """One sample a worker may ask about.

    Attributes:
        ordinal: its place in its task, from 0, in dataset order.
        turn: which turn of the prompt to ask, from 0.
        history: what was answered in the turns before it.
    """

    ordinal: int
    sample_id: str
    prompt: Prompt
    turn: int = 0
    history: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Samples of one task, a worker's until the lease ends.

    Attributes:
        expires: seconds from its granting until it ends, unless extended.
    """

    lease_id: str
    task: TaskId
    expires: float
    samples: tuple[LeasedSample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseGrant:
    """The answer to a wish for work.

    Attributes:
        leases: empty: nothing is free now.
        in_flight_limit: how many requests this worker may have in flight now; 0: none.
    """

    leases: tuple[Lease, ...]
    in_flight_limit: int
    state: QueueState


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointCondition:
    """What a worker sees of the endpoint as a whole; no sample's failure.

    Attributes:
        usable: a request got an answer that was not about the whole endpoint.
        reason: a word (`connection_refused`, `unauthorized`, ...); empty: usable.
        message: one sentence with the address and the cure, no secrets; empty: usable.
    """

    usable: bool
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLease:
    """A lease as its holder announces it: what of it has not been acknowledged."""

    lease_id: str
    task: TaskId
    open_ordinals: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseExtension:
    """What became of one announced lease; `expires` is 0 when it is no longer held."""

    lease_id: str
    held: bool
    expires: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendGrant:
    """The answer to an announcement of held leases; the rest as in `LeaseGrant`."""

    leases: tuple[LeaseExtension, ...]
    in_flight_limit: int
    state: QueueState
