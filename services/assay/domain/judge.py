"""Requests to a judge model and its answers, and the key that says when two requests are one.

Scoring makes the requests and replays the answers; the aggregator keeps them and has them asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from assay.domain.completion import Failure
from assay.domain.identity import canonical_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """A judge model, without its key.

    Attributes:
        label: what upstream's result files call it; empty: what upstream would have asked, by dataset
            (`default_label`).
        served_name: its name in requests.
        api_base: the whole chat-completions URL.
        settings: more of the settings of upstream's judge client; what it does not know goes into the
            request body.
        slots: requests in flight.
        attempts: per request.
        timeout: seconds for one request.
    """

    label: str
    served_name: str
    api_base: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    slots: int = 4
    attempts: int = 6
    timeout: float = 600.0


_LABELS = (("MMVet", "gpt-4-turbo"), ("LLaVABench", "gpt-4-turbo"), ("MMDU", "gpt-4o"))


def default_label(dataset: str) -> str:
    """The judge upstream asks about a dataset where none is named; its files carry this name."""
    found = (label for word, label in _LABELS if word in dataset)
    return next(found, "gpt-4o-mini")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRequest:
    """One question to the judge.

    Attributes:
        key: `request_key` of the rest: what its answer is kept under.
        body: the chat completion request, whole, as JSON text; it names the judge's model and decoding.
        sample_id: the sample it is about; one of them, where several ask the same.
    """

    key: str
    body: str
    sample_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeAnswer:
    """What came of one request: exactly one of `text` and `failure` is set.

    Attributes:
        key: the request's.
        text: the judge's reply.
        failure: why there is none, and none is to be had by asking once more.
    """

    key: str
    text: str | None = None
    failure: Failure | None = None


def request_key(body: Mapping[str, Any], sample_id: str, occurrence: int) -> str:
    """Names a request: equal keys are asked once.

    A judge at temperature 0 answers equal requests alike, whichever sample they are about; at any other,
    every sample has an answer of its own.

    Args:
        body: the chat completion request.
        sample_id: the sample it is about.
        occurrence: how often this sample has sent this body before, plus one.
    """
    shared = body.get("temperature") == 0
    return canonical_digest(
        {
            "body": body,
            "sample": None if shared else sample_id,
            "occurrence": occurrence,
        }
    )
