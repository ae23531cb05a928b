"""Two runs of one dataset that differ where a test wants them to, for tests of comparisons."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from assay.domain.sample import SampleState, UnscoredReason
from assay.domain.score import Verdict
from assay.report.build import report_json
from assay.scorer.tables import sample_table
from support.html_runs import task_of
from support.reports import a_report, a_run


def scored_run(
    folder: Path,
    scores: Sequence[float | None],
    *,
    model: str = "My_Model",
    dataset: str = "MMStar",
    categories: Sequence[str] = ("a", "b"),
    first_id: int = 0,
    **changes: object,
) -> Path:
    """A run of one model on one dataset with these scores, None: unscored; `changes` go into its task."""
    verdicts = [
        Verdict(
            sample_id=str(first_id + row),
            state=SampleState.UNSCORED if score is None else SampleState.SCORED,
            reason=UnscoredReason.TIMEOUT if score is None else None,
            prediction=None if score is None else f"says {score}",
            score=score,
            category=categories[row % len(categories)],
        )
        for row, score in enumerate(scores)
    ]
    task = replace(task_of(model, dataset, verdicts), **changes)
    run = a_run()
    models = tuple(replace(m, key=model) for m in run.models[:1])
    report = a_report(
        run_id=folder.name, run=replace(run, models=models), tasks=(task,)
    )
    path = folder / task.samples
    path.parent.mkdir(parents=True)
    path.write_bytes(sample_table(verdicts))
    (folder / "report.json").write_bytes(report_json(report))
    return folder


def report_of(folder: Path) -> dict[str, object]:
    """What stands in a run's folder."""
    document: dict[str, object] = json.loads((folder / "report.json").read_bytes())
    return document
