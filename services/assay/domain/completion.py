"""A completion is what an engine gave for one prompt: an answer, or a failure with its reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from assay.domain.sample import UnscoredReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why there is no answer. `message` is for people: at most 500 characters, no secrets."""

    reason: UnscoredReason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """The outcome of one (sample, turn): exactly one of `text` and `failure` is set.

    Attributes:
        ordinal: the sample's place in the task, from 0, in dataset order.
        turn: from 0.
        text: the answer, stripped as upstream strips it; never empty.
        finish_reason: what the endpoint said (`stop`, `length`, ...); empty: nothing.
        prompt_tokens, completion_tokens: as the endpoint counted; 0: it did not say.
        attempts: requests made for it.
        latency: seconds of the last attempt, connect to last byte.
        history_digest: multi-turn only: `history_digest` of the answers that it was asked after.
    """

    ordinal: int
    turn: int = 0
    text: str | None = None
    failure: Failure | None = None
    finish_reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    attempts: int = 1
    latency: float = 0.0
    history_digest: str = ""

    def __post_init__(self) -> None:
        if (self.text is None) == (self.failure is None):
            msg = f"completion of sample {self.ordinal}: exactly one of text and failure must be set"
            raise ValueError(msg)


def history_digest(answers: Sequence[str]) -> str:
    """Names what was answered in a conversation so far; empty: nothing was asked before.

    What was said to the model needs no name: a task's dataset has one.
    """
    if not answers:
        return ""
    return hashlib.sha256(json.dumps(list(answers)).encode()).hexdigest()


def conversation_text(answers: Sequence[str]) -> str:
    """What stands for the answer of a sample with several turns: a JSON list of every turn's."""
    return json.dumps(list(answers), ensure_ascii=False)
