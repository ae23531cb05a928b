"""Which records count of a task whose samples are conversations; pure, as `ledger` is.

Every turn has a record of its own, named by what was answered before it: it counts only where those answers
do. So the result does not depend on the order of folding here either, and a worker whose answer lost cannot
mix its conversation with another's. The answers are held in memory: who goes on needs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assay.aggregator.ledger import ANSWERED, FAILED, OPEN, Ledger, Place
from assay.domain.completion import Completion, conversation_text, history_digest
from assay.domain.sample import UnscoredReason

_Told = tuple[Completion, Place]
_NOWHERE = Place(0, 0, 0)


class TurnLedger(Ledger):
    """Sample states of one task: a sample is answered once all its turns are, and fails where one does.

    Turn by turn the rule is that of `Ledger`. What it says of a sample's place is its last record's.
    """

    def __init__(
        self,
        turns: Sequence[int],
        barred: Mapping[int, UnscoredReason],
        retry_epoch: int = 0,
    ) -> None:
        """Opens every sample but the barred ones.

        Args:
            turns: how many turns each sample has.
            barred: as `Ledger` takes them.
            retry_epoch: as `Ledger` takes it.
        """
        super().__init__(len(turns), barred, retry_epoch)
        self._turns = turns
        self._heard: dict[int, dict[tuple[int, str], _Told]] = {}

    def has(self, ordinal: int, turn: int = 0) -> bool:
        """Whether the task has such a sample with such a turn, and records about it can count."""
        return self._has_sample(ordinal) and 0 <= turn < self._turns[ordinal]

    def would_win(self, completion: Completion) -> bool:
        """Whether a record of it, written now, may count: it is not known to be void, or beaten."""
        answers = self.history(completion.ordinal)
        turn, asked_after = completion.turn, completion.history_digest
        failure = completion.failure
        # Of what was asked after answers that are not durable yet nobody knows.
        if turn <= len(answers) and history_digest(answers[:turn]) != asked_after:
            return False
        known = self._heard.get(completion.ordinal, {}).get((turn, asked_after))
        return known is None or bool(known[0].failure and not failure)

    def fold(self, completion: Completion, place: Place) -> bool:
        """Takes a durable record in; says whether it is one that counts now."""
        ordinal, failure = completion.ordinal, completion.failure
        if not self.has(ordinal, completion.turn) or (failure and self.is_void(place)):
            return False
        heard = self._heard.setdefault(ordinal, {})
        asked = completion.turn, completion.history_digest
        known = heard.get(asked)
        if known is not None and not _beats(completion, place, *known):
            return False
        heard[asked] = completion, place
        chain = self._chain(ordinal)
        self._settle(ordinal, chain)
        return (completion, place) in chain

    def history(self, ordinal: int) -> tuple[str, ...]:
        """What counts of a conversation so far, answer by answer."""
        said = (completion.text for completion, _ in self._chain(ordinal))
        return tuple(text for text in said if text is not None)

    def whole(self, completion: Completion) -> Completion:
        """What counts of a conversation as one completion; as it is where nobody was asked."""
        told = [each for each, _ in self._chain(completion.ordinal)]
        if not told:
            return completion
        last = told[-1]
        return Completion(
            ordinal=last.ordinal,
            text=None
            if last.failure
            else conversation_text(self.history(last.ordinal)),
            failure=last.failure,
            finish_reason=last.finish_reason,
            prompt_tokens=sum(each.prompt_tokens for each in told),
            completion_tokens=sum(each.completion_tokens for each in told),
            attempts=sum(each.attempts for each in told),
            latency=sum(each.latency for each in told),
        )

    def _chain(self, ordinal: int) -> list[_Told]:
        """The records that count, turn after turn, until one fails or is missing."""
        heard = self._heard.get(ordinal, {})
        chain: list[_Told] = []
        answers: list[str] = []
        while told := heard.get((len(chain), history_digest(answers))):
            chain.append(told)
            if told[0].text is None:
                break
            answers.append(told[0].text)
        return chain

    def _settle(self, ordinal: int, chain: Sequence[_Told]) -> None:
        if not chain or (chain[-1][0].text and len(chain) < self._turns[ordinal]):
            self._stand(ordinal, OPEN, _NOWHERE, None)
            return
        last, place = chain[-1]
        self._stand(ordinal, FAILED if last.failure else ANSWERED, place, last.failure)


def _beats(said: Completion, place: Place, known: Completion, there: Place) -> bool:
    if (said.failure is None) != (known.failure is None):
        return said.failure is None
    return place.beats(there)
