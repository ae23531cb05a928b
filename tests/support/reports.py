"""A run that ended with a bit of everything, for tests of what is written and shown of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from assay.domain.report import RunReport, RunState, TaskReport
from assay.domain.run import (
    Dataset,
    Decoding,
    Endpoint,
    Model,
    Run,
    SourceOverride,
)
from assay.domain.sample import UnscoredReason
from assay.domain.score import Metric
from assay.domain.task import TaskCounts, TaskId, TaskState

VERSIONS = {
    "assay": "0.1.0",
    "ms-vlmeval": "0.0.20",
    "Pillow": "13.0.0",
    "pandas": "3.1.1",
    "numpy": "2.4.6",
    "Python": "3.11.9",
}


def metric(name: str, value: float | None, **more: Any) -> Metric:
    """A metric from 0 to 1 over 60 samples, unless said otherwise."""
    given = {"split": "none", "scale": (0.0, 1.0), "n": 60, **more}
    return Metric(name=name, value=value, **given)


def a_run() -> Run:
    """Two models on two datasets."""
    endpoint = Endpoint(api_base="http://h:1/v1/chat/completions?sig=hidden-signature")
    model = Model(
        key="My_Model",
        kind="CustomAPIModel",
        served_name="org/My.Model",
        endpoint=endpoint,
        decoding=Decoding(extra={"top_p": 0.9}),
    )
    source = SourceOverride(url="http://u:hidden-password@h/x.tsv", md5="0" * 32)
    return Run(
        name="nightly",
        models=(model, replace(model, key="My_Model-2", revision="b")),
        datasets=(Dataset(name="MMStar"), Dataset(name="mine", source=source)),
        limit=60,
        notes=("verbose has no effect: as ever.",),
    )


def tasks() -> tuple[TaskReport, ...]:
    """One task that is complete, one below its coverage, one that failed."""
    complete = TaskReport(
        id=TaskId("My_Model", "MMStar"),
        state=TaskState.COMPLETE,
        counts=TaskCounts(total=60, scored=60),
        unscored_by_reason={},
        judge="exact_matching",
        metrics=(
            metric("Overall", 0.8125, split="val"),
            metric("Overall", 0.5, split="test"),
            metric("OCR", float("nan"), n=0),
        ),
        files=("My_Model/My_Model_MMStar.xlsx",),
        samples="samples/My_Model/MMStar.parquet",
        prepared_digest="a" * 64,
        source_digest="b" * 64,
        task_digest="c" * 64,
        provenance={"seal": "landlock, seccomp"},
    )
    below = replace(
        complete,
        id=TaskId("My_Model-2", "MMStar"),
        state=TaskState.BELOW_COVERAGE,
        counts=TaskCounts(total=60, scored=57, unscored=3),
        unscored_by_reason={
            UnscoredReason.TIMEOUT: 2,
            UnscoredReason.EMPTY_ANSWER: 1,
            UnscoredReason.POISON: 0,
        },
        metrics=(),
        withheld="coverage 0.950 is below 1.000",
    )
    failed = TaskReport(
        id=TaskId("My_Model", "mine"),
        state=TaskState.FAILED,
        counts=TaskCounts(),
        unscored_by_reason={},
        judge="exact_matching",
        message="mine.tsv has no column \x1b[31manswer\nat all",
    )
    return (complete, below, failed)


def a_report(**changes: Any) -> RunReport:
    """The run as it ended, with some fields replaced."""
    report = RunReport(
        run_id="20260102_030405-0123abcd",
        run=a_run(),
        state=RunState.BELOW_COVERAGE,
        spec_digest="d" * 64,
        started="2026-01-02T03:04:05Z",
        finished="2026-01-02T03:05:06Z",
        tasks=tasks(),
        provenance=VERSIONS,
    )
    return replace(report, **changes)
