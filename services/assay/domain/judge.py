"""Requests to a judge model and its answers, and the key that says when two requests are one.

Scoring makes the requests and replays the answers; the aggregator keeps them and has them asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assay.domain.catalog import JudgeNeed, lookup
from assay.domain.completion import Failure
from assay.domain.identity import canonical_digest, judge_identity
from assay.domain.run import Endpoint, Judge, Mode, Model, Run
from assay.domain.task import TaskId

JUDGE_QUEUE = ".judge"
"""The queue of a run's judge requests; no model's key has a dot."""

JUDGE_PROMPTS = "judge_prompts"
"""Where a score's provenance names what its judge was asked."""

EXACT = "exact_matching"
"""Nobody is asked: rules decide alone."""


_LABELS = (("MMVet", "gpt-4-turbo"), ("LLaVABench", "gpt-4-turbo"), ("MMDU", "gpt-4o"))


def default_label(dataset: str) -> str:
    """The judge upstream asks about a dataset where none is named; its files carry this name."""
    found = (label for word, label in _LABELS if word in dataset)
    return next(found, "gpt-4o-mini")


def judge_need(dataset: str) -> JudgeNeed:
    """Whether a judge model decides anything about a dataset; of a name upstream does not know it may."""
    entry = lookup(dataset)
    return JudgeNeed.OPTIONAL if entry is None else entry.judge


def is_judged(run: Run, dataset: str) -> bool:
    """Whether the run's judge model is asked about a dataset."""
    scored = run.judge_model is not None and run.mode is not Mode.INFER
    return scored and judge_need(dataset) is not JudgeNeed.NONE


def judge_label(run: Run, dataset: str) -> str:
    """What upstream's files call who decides about a dataset."""
    judge = run.judge_model
    if judge is None or judge_need(dataset) is JudgeNeed.NONE:
        return EXACT
    return judge.label or default_label(dataset)


def judge_digest(judge: Judge) -> str:
    """Names a judge by what can change its answers: its model and decoding."""
    return canonical_digest(judge_identity(judge))


def judge_task(judge: Judge) -> TaskId:
    """What the answers of a judge are kept under within a run."""
    return TaskId(JUDGE_QUEUE, judge_digest(judge))


def judge_model(judge: Judge) -> Model:
    """The judge as its workers are told of it: it is asked as a model is."""
    return Model(
        key=JUDGE_QUEUE,
        kind="judge",
        served_name=judge.served_name,
        endpoint=Endpoint(
            api_base=judge.api_base, timeout=judge.timeout, retry=judge.attempts
        ),
        nproc=judge.slots,
        launched=judge.launched,
    )


def judges_of(run: Run) -> tuple[Model, ...]:
    """The judge of a run as something to be asked; none where rules decide alone."""
    return () if run.judge_model is None else (judge_model(run.judge_model),)


def all_asked(run: Run) -> dict[str, Model]:
    """Whatever a run asks, by its queue: its models, and its judge."""
    return {model.key: model for model in (*run.models, *judges_of(run))}


_ORDINAL_BITS = 63


def ordinal_of(key: str) -> int:
    """The number that leases and records call a request by: the first bits of its key."""
    return int(key[:16], 16) >> (64 - _ORDINAL_BITS)


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
