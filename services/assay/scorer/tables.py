"""The two tables of a scored task as Parquet: equal input gives equal bytes.

The sample table holds what a repeated run must reproduce; the timing table what it cannot, and what was said
about samples without an answer.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from assay.domain.completion import Completion
from assay.domain.score import Verdict
from assay.rpc.score_client import ScorePrediction

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
