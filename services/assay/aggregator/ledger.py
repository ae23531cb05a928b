"""Which record counts for each sample of a task; pure, and small enough to hold every sample in memory.

The committer folds records in as they become durable, take-over folds in what it admitted, and what former
executions answered: the result does not depend on the order. Answers stay in the store; the ledger remembers
where the winner stands.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from assay.domain.completion import Completion, Failure
from assay.domain.sample import UnscoredReason

OPEN, FAILED, ANSWERED, _BARRED = range(4)
_TOLD = frozenset({FAILED, ANSWERED})
"""States that a record told."""
_REASONS = tuple(UnscoredReason)
_NUMBERS = {reason: number for number, reason in enumerate(_REASONS)}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands; the lower of two successes wins, and one of this run before any other.

    Attributes:
        source: 0: this run; from 1 on: former executions whose answers it goes on from.
    """

    epoch: int
    seq: int
    offset: int
    source: int = 0

    def beats(self, other: Place) -> bool:
        """Whether the record here counts, of two that say as much."""
        return self._order < other._order

    @property
    def _order(self) -> tuple[int, int, int, int]:
        return self.source, self.epoch, self.seq, self.offset


class Digest(Protocol):
    """What hashlib gives."""

    def update(self, data: bytes, /) -> None:
        """Takes bytes in."""
        ...


class Ledger:
    """Sample states of one task.

    The rule: a success beats any error; among successes, and among errors, the lowest place wins.
    Errors of epochs before `retry_epoch` are void: those samples were asked for again. So are, once there
    was a retry, all errors of former executions.
    """

    def __init__(
        self, total: int, barred: Mapping[int, UnscoredReason], retry_epoch: int = 0
    ) -> None:
        """Opens every sample but the barred ones.

        Args:
            total: samples of the task.
            barred: samples that cannot be asked about, with the reason; no record changes them.
            retry_epoch: the epoch of the last retry; 0: there was none.
        """
        self.total = total
        self.retry_epoch = retry_epoch
        self._states = bytearray(total)
        self._reasons = bytearray(total)
        self._epochs = array("I", bytes(4 * total))
        self._seqs = array("I", bytes(4 * total))
        self._offsets = array("I", bytes(4 * total))
        self._sources = bytearray(total)
        self._tally = [total, 0, 0, 0]
        self.adopted_count = 0
        """Samples whose record that counts stands in a former execution."""
        self._by_reason = [0] * len(_REASONS)
        for ordinal, reason in barred.items():
            if ordinal < total:
                self._set(ordinal, _BARRED, reason)

    @property
    def open_count(self) -> int:
        """Samples without a record that counts."""
        return self._tally[OPEN]

    @property
    def answered_count(self) -> int:
        """Samples with an answer."""
        return self._tally[ANSWERED]

    @property
    def unscored_count(self) -> int:
        """Samples with a reason instead of an answer."""
        return self._tally[FAILED] + self._tally[_BARRED]

    @property
    def failed_count(self) -> int:
        """Samples that a retry would open again."""
        return self._tally[FAILED]

    @property
    def answered_by(self) -> dict[int, int]:
        """How many records that count stand where: source -> samples; none of zero."""
        told = Counter(
            source
            for source, state in zip(self._sources, self._states, strict=True)
            if state in _TOLD
        )
        return dict(sorted(told.items()))

    @property
    def unscored_by_reason(self) -> dict[UnscoredReason, int]:
        """How many samples have each reason; reasons without a sample are left out."""
        return {
            reason: count
            for reason, count in zip(_REASONS, self._by_reason, strict=True)
            if count
        }

    def has(self, ordinal: int, turn: int = 0) -> bool:
        """Whether the task has such a sample with such a turn, and records about it can count."""
        return not turn and self._has_sample(ordinal)

    def _has_sample(self, ordinal: int) -> bool:
        return 0 <= ordinal < self.total and self._states[ordinal] != _BARRED

    def is_open(self, ordinal: int) -> bool:
        """Whether the sample is still to be asked."""
        return self._states[ordinal] == OPEN

    def told(self, ordinal: int) -> bool:
        """Whether what becomes of the sample is known: it has a record that counts, or can have none."""
        return self._states[ordinal] != OPEN

    def would_win(self, completion: Completion) -> bool:
        """Whether a record of it, written now, would count: nothing better is known."""
        state = self._states[completion.ordinal]
        return state == OPEN or (state == FAILED and completion.failure is None)

    def fold(self, completion: Completion, place: Place) -> bool:
        """Takes a durable record in; says whether it is the one that counts now."""
        ordinal, failure = completion.ordinal, completion.failure
        if not self.has(ordinal) or (failure and self.is_void(place)):
            return False
        wanted = ANSWERED if failure is None else FAILED
        state = self._states[ordinal]
        known = self._place(ordinal)
        if state > wanted or (state == wanted and not place.beats(known)):
            return False
        self._stand(ordinal, wanted, place, failure)
        return True

    def history(self, ordinal: int) -> tuple[str, ...]:
        """What counts of a sample's turns so far, answer by answer; empty where there is but one turn."""
        _ = ordinal
        return ()

    def whole(self, completion: Completion) -> Completion:
        """What counts of the sample that a record is about: where there is one turn, the record."""
        return completion

    def winners(self) -> Iterator[tuple[int, Place | None, UnscoredReason | None]]:
        """Each sample in order: where its record stands, or why it was barred; neither while open."""
        for ordinal, state in enumerate(self._states):
            if state == _BARRED:
                yield ordinal, None, _REASONS[self._reasons[ordinal]]
            elif state == OPEN:
                yield ordinal, None, None
            else:
                yield ordinal, self._place(ordinal), None

    def digest(self, runs: Sequence[str] = ("",)) -> str:
        """Names exactly the records that count: it changes when, and only when, one of them does.

        Args:
            runs: what the run of each source is called; empty: the one that asks.
        """
        found = hashlib.sha256()
        if any(runs):
            self._name_sources(found, runs)
        for column in (self._epochs, self._seqs, self._offsets):
            found.update(column.tobytes())
        found.update(self._states)
        found.update(self._reasons)
        return found.hexdigest()

    def _stand(
        self, ordinal: int, state: int, place: Place, failure: Failure | None
    ) -> None:
        """Lets a record be the one that counts."""
        self.adopted_count += bool(place.source) - bool(self._sources[ordinal])
        self._set(ordinal, state, failure.reason if failure else None)
        self._epochs[ordinal] = place.epoch
        self._seqs[ordinal] = place.seq
        self._offsets[ordinal] = place.offset
        self._sources[ordinal] = place.source

    def _place(self, ordinal: int) -> Place:
        return Place(
            self._epochs[ordinal],
            self._seqs[ordinal],
            self._offsets[ordinal],
            self._sources[ordinal],
        )

    def _name_sources(self, digest: Digest, runs: Sequence[str]) -> None:
        """Says whose records count: alike in every run that goes on from the same ones."""
        told = self.answered_by
        order = sorted({runs[source] for source in told})
        if order in ([], [""]):
            return
        digest.update("\0".join(order).encode())
        numbers = bytearray(256)
        for source in told:
            numbers[source] = order.index(runs[source])
        sources = zip(self._sources, self._states, strict=True)
        digest.update(
            bytes(numbers[s] if state in _TOLD else 0 for s, state in sources)
        )

    def is_void(self, place: Place) -> bool:
        """Whether an error that stands there was asked for again."""
        if place.source:
            return self.retry_epoch > 0
        return place.epoch < self.retry_epoch

    def _set(self, ordinal: int, state: int, reason: UnscoredReason | None) -> None:
        before = self._states[ordinal]
        if before in {FAILED, _BARRED}:
            self._by_reason[self._reasons[ordinal]] -= 1
        self._tally[before] -= 1
        self._tally[state] += 1
        self._states[ordinal] = state
        self._reasons[ordinal] = _NUMBERS[reason] if reason else 0
        if reason:
            self._by_reason[_NUMBERS[reason]] += 1
