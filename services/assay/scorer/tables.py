"""The tables of a scored task as Parquet: equal input gives equal bytes.

The sample table holds what a repeated run must reproduce; the timing table what it cannot, and what was said
about samples without an answer; the judge's, where there is one, what verdicts rest on.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from assay.domain.completion import Completion
from assay.domain.errors import ScorerError
from assay.domain.judge import JudgeAnswer
from assay.domain.score import Verdict
from assay.rpc.score_client import ScorePrediction
from assay.scorer.verdicts import Heard

SAMPLES = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("prediction", pa.string()),
        pa.field("target", pa.string()),
        pa.field("extracted", pa.string()),
        pa.field("score", pa.float64()),
        pa.field("category", pa.string()),
    ]
)

TIMING = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("attempts", pa.int32(), nullable=False),
        pa.field("latency_seconds", pa.float64(), nullable=False),
        pa.field("prompt_tokens", pa.int64(), nullable=False),
        pa.field("completion_tokens", pa.int64(), nullable=False),
        pa.field("finish_reason", pa.string(), nullable=False),
        pa.field("worker_id", pa.string(), nullable=False),
        pa.field("failure", pa.string()),
    ]
)


JUDGE = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("request", pa.string(), nullable=False),
        pa.field("reply", pa.string()),
        pa.field("failure", pa.string()),
        pa.field("key", pa.string(), nullable=False),
    ]
)
"""One row per judge request that a sample made, in dataset order; `request` is the body as JSON."""


def judge_table(heard: Sequence[Heard], answers: Mapping[str, JudgeAnswer]) -> bytes:
    """What a judge was asked about each sample and what it said.

    Raises:
        ScorerError: the child tells of a request that has no answer.
    """
    try:
        found = [answers[each.key] for each in heard]
    except KeyError as error:
        raise ScorerError("the scoring child tells of unknown requests") from error
    columns = {
        "sample_id": [each.sample_id for each in heard],
        "request": [each.body for each in heard],
        "reply": [answer.text for answer in found],
        "failure": [answer.failure and answer.failure.message for answer in found],
        "key": [each.key for each in heard],
    }
    return _parquet(pa.table(columns, schema=JUDGE))


def prompts_digest(heard: Sequence[Heard]) -> str:
    """Names what a judge was asked about a task, whatever the order: sha256 of the distinct bodies."""
    told = hashlib.sha256()
    for body in sorted({each.body for each in heard}):
        told.update(f"{len(body)}:{body}".encode())
    return told.hexdigest()


def sample_table(verdicts: Sequence[Verdict]) -> bytes:
    """One row per sample, in dataset order."""
    columns = {
        field.name: [_cell(getattr(verdict, field.name)) for verdict in verdicts]
        for field in SAMPLES
    }
    return _parquet(pa.table(columns, schema=SAMPLES))


def timing_table(predictions: Sequence[ScorePrediction]) -> bytes:
    """One row per sample, in dataset order."""
    columns = {
        "sample_id": [p.sample_id for p in predictions],
        "attempts": [p.completion.attempts for p in predictions],
        "latency_seconds": [p.completion.latency for p in predictions],
        "prompt_tokens": [p.completion.prompt_tokens for p in predictions],
        "completion_tokens": [p.completion.completion_tokens for p in predictions],
        "finish_reason": [p.completion.finish_reason for p in predictions],
        "worker_id": [p.worker_id for p in predictions],
        "failure": [_failure(p.completion) for p in predictions],
    }
    return _parquet(pa.table(columns, schema=TIMING))


def _failure(completion: Completion) -> str | None:
    """What was said about a sample without an answer."""
    return (completion.failure.message or None) if completion.failure else None


def _cell(value: object) -> object:
    # Enumerations are written as their words, without their Python type.
    return str(value) if isinstance(value, str) else value


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(
        table, sink, compression="zstd", row_group_size=65_536, version="2.6"
    )
    return sink.getvalue()
