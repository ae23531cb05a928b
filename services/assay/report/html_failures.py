"""What was said about samples without an answer, from the timing table of their task; `html` shows it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from assay.domain.errors import CorruptError
from assay.report.html_samples import SampleTable


def with_failures(table: SampleTable, run_dir: Path, name: str) -> SampleTable:
    """The sample table `name` with what was said; as it is where nothing was, or an older version wrote it.

    Raises:
        CorruptError: the timing table beside it cannot be read, or is of other samples.
    """
    path = run_dir / f"{name.removesuffix('.parquet')}.timing.parquet"
    if not path.exists():
        return table
    columns = _read(path)
    if columns["sample_id"] != table.columns["sample_id"]:
        raise CorruptError(f"cannot read {path}: it is of other samples")
    failures = columns.get("failure", [])
    if not any(failures):
        return table
    return replace(table, columns={**table.columns, "failure": failures})


def _read(path: Path) -> dict[str, list[Any]]:
    import pyarrow as pa  # noqa: PLC0415 - slow, and only pages need it
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        wanted = ["sample_id", "failure"]
        there = set(pq.read_schema(path).names)
        found = pq.read_table(path, columns=[n for n in wanted if n in there])
        columns: dict[str, list[Any]] = found.to_pydict()
        columns["sample_id"]
    except (OSError, pa.ArrowException, KeyError) as error:
        raise CorruptError(f"cannot read {path}: {error}") from error
    return columns
