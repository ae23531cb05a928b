"""Which record counts for each sample of a task; pure, and small enough to hold every sample in memory.

The committer folds records in as they become durable, take-over folds in what it admitted: the result
does not depend on the order. Answers stay in the store; the ledger remembers where the winner stands.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from assay.domain.completion import Completion
from assay.domain.sample import UnscoredReason

_OPEN, _FAILED, _ANSWERED, _BARRED = range(4)
_REASONS = tuple(UnscoredReason)
_NUMBERS = {reason: number for number, reason in enumerate(_REASONS)}


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a record stands; the lower of two successes wins."""

    epoch: int
    seq: int
    offset: int


class Ledger:
    """Sample states of one task.

    The rule: a success beats any error; among successes, and among errors, the lowest place wins.
    Errors of epochs before `retry_epoch` are void: those samples were asked for again.
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
        self._tally = [total, 0, 0, 0]
        self._by_reason = [0] * len(_REASONS)
        for ordinal, reason in barred.items():
            if ordinal < total:
                self._set(ordinal, _BARRED, reason)

    @property
    def open_count(self) -> int:
        """Samples without a record that counts."""
        return self._tally[_OPEN]

    @property
    def answered_count(self) -> int:
        """Samples with an answer."""
        return self._tally[_ANSWERED]

    @property
    def unscored_count(self) -> int:
        """Samples with a reason instead of an answer."""
        return self._tally[_FAILED] + self._tally[_BARRED]

    @property
    def failed_count(self) -> int:
        """Samples that a retry would open again."""
        return self._tally[_FAILED]

    @property
    def unscored_by_reason(self) -> dict[UnscoredReason, int]:
        """How many samples have each reason; reasons without a sample are left out."""
        return {
            reason: count
            for reason, count in zip(_REASONS, self._by_reason, strict=True)
            if count
        }

    def has(self, ordinal: int) -> bool:
        """Whether the task has such a sample and records about it can count."""
        return 0 <= ordinal < self.total and self._states[ordinal] != _BARRED

    def is_open(self, ordinal: int) -> bool:
        """Whether the sample is still to be asked."""
        return self._states[ordinal] == _OPEN

    def would_win(self, completion: Completion) -> bool:
        """Whether a record of it, written now, would count: nothing better is known."""
        state = self._states[completion.ordinal]
        return state == _OPEN or (state == _FAILED and completion.failure is None)

    def fold(self, completion: Completion, place: Place) -> bool:
        """Takes a durable record in; says whether it is the one that counts now."""
        ordinal, failure = completion.ordinal, completion.failure
        if not self.has(ordinal) or (failure and place.epoch < self.retry_epoch):
            return False
        wanted = _ANSWERED if failure is None else _FAILED
        state = self._states[ordinal]
        known = self._place(ordinal)
        if state > wanted or (state == wanted and known <= place):
            return False
        self._set(ordinal, wanted, failure.reason if failure else None)
        self._epochs[ordinal] = place.epoch
        self._seqs[ordinal] = place.seq
        self._offsets[ordinal] = place.offset
        return True

    def retry(self, epoch: int) -> int:
        """Opens samples whose error is older than `epoch` again; returns how many."""
        self.retry_epoch = epoch
        opened = 0
        for ordinal, state in enumerate(self._states):
            if state == _FAILED and self._epochs[ordinal] < epoch:
                self._set(ordinal, _OPEN, None)
                opened += 1
        return opened

    def winners(self) -> Iterator[tuple[int, Place | None, UnscoredReason | None]]:
        """Each sample in order: where its record stands, or why it was barred; neither while open."""
        for ordinal, state in enumerate(self._states):
            if state == _BARRED:
                yield ordinal, None, _REASONS[self._reasons[ordinal]]
            elif state == _OPEN:
                yield ordinal, None, None
            else:
                yield ordinal, self._place(ordinal), None

    def digest(self) -> str:
        """Names exactly the records that count: it changes when, and only when, one of them does."""
        found = hashlib.sha256()
        for ordinal, state in enumerate(self._states):
            if state == _OPEN:
                # Where a record stood that was retried away says nothing.
                self._epochs[ordinal] = self._seqs[ordinal] = self._offsets[ordinal] = 0
        for column in (self._epochs, self._seqs, self._offsets):
            found.update(column.tobytes())
        found.update(self._states)
        found.update(self._reasons)
        return found.hexdigest()

    def _place(self, ordinal: int) -> Place:
        return Place(self._epochs[ordinal], self._seqs[ordinal], self._offsets[ordinal])

    def _set(self, ordinal: int, state: int, reason: UnscoredReason | None) -> None:
        before = self._states[ordinal]
        if before in {_FAILED, _BARRED}:
            self._by_reason[self._reasons[ordinal]] -= 1
        self._tally[before] -= 1
        self._tally[state] += 1
        self._states[ordinal] = state
        self._reasons[ordinal] = _NUMBERS[reason] if reason else 0
        if reason:
            self._by_reason[_NUMBERS[reason]] += 1
