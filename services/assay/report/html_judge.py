"""What the judge was asked about each sample and what it replied, from the judge's table; `html` shows it."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from assay.domain.errors import CorruptError
from assay.report.html_samples import SampleTable


def with_judge(table: SampleTable, run_dir: Path, name: str) -> SampleTable:
    """The sample table `name` with what its judge was asked and said; as it is where it had none.

    Raises:
        CorruptError: the judge's table beside it cannot be read.
    """
    path = run_dir / f"{name.removesuffix('.parquet')}.judge.parquet"
    if not path.exists():
        return table
    said: dict[str, list[str]] = defaultdict(list)
    for row in _rows(path):
        said[row["sample_id"]].append(_told(row))
    texts = [
        "\n\n".join(said[name]) if name in said else None
        for name in table.columns["sample_id"]
    ]
    return replace(table, columns={**table.columns, "judge": texts})


def _rows(path: Path) -> list[dict[str, Any]]:
    import pyarrow as pa  # noqa: PLC0415 - slow, and only pages need it
    import pyarrow.parquet as pq  # noqa: PLC0415

    wanted = ["sample_id", "request", "reply", "failure"]
    try:
        rows: list[dict[str, Any]] = pq.read_table(path, columns=wanted).to_pylist()
    except (OSError, pa.ArrowException, KeyError) as error:
        raise CorruptError(f"cannot read {path}: {error}") from error
    return rows


def _told(row: dict[str, Any]) -> str:
    """One question and what came of it."""
    said = f"replied: {row['reply']}" if row["reply"] else f"failed: {row['failure']}"
    return f"asked: {_asked(row['request'])}\n\n{said}"


def _asked(body: str) -> str:
    """The words of a request's last message; the body where it has no such thing."""
    try:
        content = json.loads(body)["messages"][-1]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        return body
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text", "")) for part in parts if "text" in part)
