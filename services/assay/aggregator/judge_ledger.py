"""What a judge has answered in one run: which record of a request counts, and what it says; pure.

The committer folds records in as they become durable, take-over what it admitted. Unlike a task's ledger it
holds the replies themselves: every scorer of the run is told them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from assay.aggregator.ledger import Place
from assay.domain.completion import Completion
from assay.domain.report import JudgeTally


class JudgeLedger:
    """The records of one judge.

    The rule is that of a task's ledger: a success beats any error; among equals the lowest place wins.
    """

    def __init__(self, retry_epoch: int = 0, dropped: Mapping[int, int] = {}) -> None:
        """Knows no record yet.

        Args:
            retry_epoch: errors of epochs before it were asked for again.
            dropped: requests whose answers count for nothing up to an epoch, since nobody could read them.
        """
        self._retry_epoch = retry_epoch
        self._dropped = dropped
        self._found: dict[int, tuple[Completion, Place]] = {}
        self.asked: set[int] = set()
        """Requests that wait for an answer."""

    @property
    def open_count(self) -> int:
        """Requests that wait for an answer."""
        return len(self.asked)

    @property
    def found_count(self) -> int:
        """Requests that have a record."""
        return len(self._found)

    def has(self, ordinal: int, turn: int = 0) -> bool:
        """Whether it can be a request: any number can, since scorers ask anew after a restart."""
        return ordinal >= 0 and not turn

    def is_open(self, ordinal: int) -> bool:
        """Whether there is no answer."""
        return ordinal not in self._found

    def would_win(self, completion: Completion) -> bool:
        """Whether a record of it, written now, would count."""
        known = self._found.get(completion.ordinal)
        if known is None:
            return True
        return known[0].failure is not None and completion.failure is None

    def fold(self, completion: Completion, place: Place) -> bool:
        """Takes a durable record in; says whether it is the one that counts now."""
        ordinal = completion.ordinal
        if self._is_void(completion, place):
            return False
        known = self._found.get(ordinal)
        if known is not None and not _beats(completion, place, *known):
            return False
        self._found[ordinal] = completion, place
        self.asked.discard(ordinal)
        return True

    def answer(self, ordinal: int) -> Completion | None:
        """What came of a request; None: nothing yet."""
        known = self._found.get(ordinal)
        return known[0] if known else None

    def answers(self) -> Iterator[Completion]:
        """Every record that counts."""
        return (completion for completion, _ in self._found.values())

    @property
    def failed_count(self) -> int:
        """Requests that failed for good."""
        return sum(said.failure is not None for said in self.answers())

    @property
    def tally(self) -> JudgeTally:
        """What it has cost."""
        found = list(self.answers())
        failures = sum(said.failure is not None for said in found)
        return JudgeTally(
            calls=sum(said.attempts for said in found),
            answers=len(found) - failures,
            failures=failures,
            prompt_tokens=sum(said.prompt_tokens for said in found),
            completion_tokens=sum(said.completion_tokens for said in found),
        )

    def _is_void(self, completion: Completion, place: Place) -> bool:
        failed_before = (
            completion.failure is not None and place.epoch < self._retry_epoch
        )
        return failed_before or place.epoch <= self._dropped.get(completion.ordinal, 0)


def _beats(said: Completion, place: Place, known: Completion, there: Place) -> bool:
    if (said.failure is None) != (known.failure is None):
        return said.failure is None
    return place.beats(there)
