"""What a worker holds: its leases, and how far each of their samples is. Pure bookkeeping for the loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from assay.domain.completion import Completion
from assay.domain.lease import HeldLease, Lease, LeasedSample
from assay.domain.task import TaskId

Key = tuple[TaskId, int, int]
"""Task, ordinal, turn: names what is asked."""


@dataclass(slots=True, eq=False)
class HeldSample:
    """One leased sample on its way to a completion; of a conversation, one of its turns.

    Attributes:
        lease_id: the lease it is held under; empty: that lease was lost, its request goes on.
        attempts: attempts that count against it.
        requests: requests made for it.
        in_flight: a request is on its way.
        answered: its completion is made, though not acknowledged yet.
        dropped: not ours any more: whoever meets it leaves it alone.
        streak_id, streak_base: its attempts before the endpoint's present streak of failures.
        refusals, answers_seen: how often the endpoint as a whole refused it, others having been
            answered in between.
    """

    task: TaskId
    sample: LeasedSample
    lease_id: str
    attempts: int = 0
    requests: int = 0
    in_flight: bool = False
    answered: bool = False
    dropped: bool = False
    streak_id: int = -1
    streak_base: int = 0
    refusals: int = 0
    answers_seen: int = -1
    read_failures: int = 0

    @property
    def key(self) -> Key:
        """What names it among all that is held."""
        return (self.task, self.sample.ordinal, self.sample.turn)


@dataclass(slots=True)
class _Book:
    task: TaskId
    period: float
    open: dict[Key, HeldSample] = field(default_factory=dict)


class LeaseBook:
    """All leases of one worker, each with the samples whose completion is not acknowledged."""

    def __init__(self) -> None:
        self._leases: dict[str, _Book] = {}
        self._samples: dict[Key, HeldSample] = {}

    def __len__(self) -> int:
        """Samples that are held or still on their way under a lost lease."""
        return len(self._samples)

    def __iter__(self) -> Iterator[HeldSample]:
        return iter(self._samples.values())

    def add(self, lease: Lease) -> list[HeldSample]:
        """Takes a lease in; returns those of its samples that are to be asked.

        A sample that is on its way already (its former lease was lost) is not asked again: it is held
        under the new lease from now on. Of a conversation that was any later turn, too.
        """
        book = self._leases.setdefault(
            lease.lease_id, _Book(lease.task, period=lease.expires)
        )
        fresh: list[HeldSample] = []
        for sample in lease.samples:
            known = self._known_of(lease.task, sample)
            if not known:
                held = HeldSample(lease.task, sample, lease.lease_id)
                fresh.append(held)
                known = [held]
            for held in known:
                if held.lease_id != lease.lease_id:
                    self._leave(held)
                held.lease_id = lease.lease_id
                self._samples[held.key] = book.open[held.key] = held
        return fresh

    def follow(self, held: HeldSample, completion: Completion) -> HeldSample | None:
        """The next turn of a conversation that was answered, held under the same lease.

        None: it has ended, or is left to others, since that lease was lost.
        """
        sample, book = held.sample, self._leases.get(held.lease_id)
        turn = sample.turn + 1
        if completion.text is None or turn >= len(sample.prompt.turns) or book is None:
            return None
        history = (*sample.history, completion.text)
        following = replace(sample, turn=turn, history=history)
        fresh = HeldSample(held.task, following, held.lease_id)
        self._samples[fresh.key] = book.open[fresh.key] = fresh
        return fresh

    def forsake(self, key: Key) -> None:
        """Another answer counts in a turn: what was asked after ours is void, and goes no further."""
        task, ordinal, turn = key
        while held := self._samples.get((task, ordinal, turn := turn + 1)):
            self._leave(held)
            held.lease_id = ""
            if not (held.in_flight or held.answered):
                self.drop(held)

    def acknowledged(self, key: Key) -> None:
        """The completion of a sample is durable: nothing of it is held any more."""
        held = self._samples.pop(key, None)
        if held is not None:
            self._leave(held)

    def lost(self, lease_id: str) -> None:
        """Drops a lease: what has not been sent is left to others, what is on its way stays."""
        book = self._leases.pop(lease_id, None)
        for held in list(book.open.values()) if book else ():
            held.lease_id = ""
            if not (held.in_flight or held.answered):
                self.drop(held)

    def drop(self, held: HeldSample) -> None:
        """Leaves a sample alone from now on."""
        held.dropped = True
        self._samples.pop(held.key, None)
        self._leave(held)

    def unasked(self) -> list[HeldSample]:
        """Samples that no request is on its way for, and no answer has come."""
        return [h for h in self._samples.values() if not (h.in_flight or h.answered)]

    def announcement(self) -> list[HeldLease]:
        """Every lease with what is open in it."""
        return [
            HeldLease(
                lease_id=lease_id,
                task=book.task,
                # Two turns of one conversation may be open: one waits for its acknowledgement.
                open_ordinals=tuple(
                    dict.fromkeys(held.sample.ordinal for held in book.open.values())
                ),
            )
            for lease_id, book in self._leases.items()
        ]

    def shortest_period(self) -> float | None:
        """Seconds of the shortest-lived lease; None: nothing is held."""
        return min((book.period for book in self._leases.values()), default=None)

    def extended(self, lease_id: str, period: float) -> None:
        """Notes for how long a lease lives from now on."""
        book = self._leases.get(lease_id)
        if book is not None and period > 0:
            book.period = period

    def lease_ids(self) -> list[str]:
        """The leases that have anything open."""
        return list(self._leases)

    def _known_of(self, task: TaskId, sample: LeasedSample) -> list[HeldSample]:
        """What is held of a sample from the leased turn on, if it was asked after the leased history."""
        turns = range(sample.turn, max(len(sample.prompt.turns), sample.turn + 1))
        held = (self._samples.get((task, sample.ordinal, turn)) for turn in turns)
        found = [each for each in held if each is not None]
        as_leased = all(
            each.sample.history[: sample.turn] == sample.history for each in found
        )
        return found if as_leased else []

    def _leave(self, held: HeldSample) -> None:
        book = self._leases.get(held.lease_id)
        if book is None:
            return
        book.open.pop(held.key, None)
        if not book.open:
            del self._leases[held.lease_id]
