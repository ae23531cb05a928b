"""Which run a task config means, and whether it ended well: what `run_task` and the summarizer share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from assay.cli.report import read_report
from assay.config import Resolved, resolve
from assay.domain.errors import CorruptError, NotFoundError, RunError
from assay.domain.identity import spec_digest
from assay.domain.report import RunState
from assay.evalscope.config import TaskLike, file_of
from assay.local.folder import ending_in, keeps_answers, pinned_in
from assay.local.launch import lmu_folders

_MOST_TASKS = 5
"""Tasks that a message explains; all are in the report."""


def resolved(task_cfg: TaskLike) -> Resolved:
    """What one evaluation asks for, admitted.

    Raises:
        ConfigError: it is refused, in full.
    """
    return resolve(
        file_of(task_cfg),
        environ=os.environ,
        lmu_data=lmu_folders(),
        base_dir=Path.cwd(),
    )


def newest_ended(asked: Resolved) -> Path:
    """The folder of the newest run that this config describes and that has ended.

    That is the one in `use_cache`, or one in or just below `work_dir` of equal spec digest: nothing has
    to be handed over from the run that was just made.

    Raises:
        NotFoundError: there is none.
    """
    below = asked.use_cache or asked.work_dir
    folders = [below]
    if asked.use_cache is None and below.is_dir():
        folders += [path for path in below.iterdir() if path.is_dir()]
    digest = spec_digest(asked.run)
    found = [
        (started, path)
        for path in folders
        if (started := _started(path, digest))
        and (ending := ending_in(path)).state is not RunState.RUNNING
        and ending.reaches(asked.run.mode)
    ]
    if not found:
        raise NotFoundError(
            f"no run of this config has ended in or below {below}",
            cure="run it first, with run_task or `assay run`; a run that was started with "
            "other models, datasets or limits is another one",
        )
    return max(found)[1]


def _started(path: Path, digest: str) -> str:
    """When a run of this digest began; empty: there is none in the folder."""
    try:
        pinned = pinned_in(path)
    except CorruptError:
        # Whatever it was, it is no run that can be read.
        return ""
    return pinned.started if pinned and spec_digest(pinned.run) == digest else ""


def report_of_complete(run_dir: Path) -> dict[str, Any]:
    """The report of a run that ended as it was asked for.

    Raises:
        RunError: the run failed, or a task is below its coverage.
        NotFoundError, CorruptError: there is no report that can be read.
    """
    document = read_report(run_dir)
    state = ending_in(run_dir).state
    if state is RunState.COMPLETE:
        return document
    word = "ended below its coverage" if state is RunState.BELOW_COVERAGE else "failed"
    raise RunError(
        f"the run in {run_dir} {word}: {_why(document)}; its report is "
        f"{run_dir / 'report.json'}",
        cure=how_to_go_on(run_dir),
    )


def how_to_go_on(run_dir: Path) -> str:
    """What a script can write to have the rest asked, and nothing else."""
    if not keeps_answers(run_dir):
        return "run it anew once the cause is mended; no answer was kept, so nothing is lost"
    return (
        f"pass use_cache: {run_dir} and eval_config.reuse: true with the same config; answers that "
        "are there are kept"
    )


def _why(document: dict[str, Any]) -> str:
    said = [str(document["run"].get("message") or "")]
    bad = [task for task in document["tasks"] if task["state"] != RunState.COMPLETE]
    said += [
        f"{task['model']}/{task['dataset']}: "
        f"{task.get('message') or task.get('withheld') or task['state']}"
        for task in bad[:_MOST_TASKS]
    ]
    if len(bad) > _MOST_TASKS:
        said.append(f"and {len(bad) - _MOST_TASKS} more tasks")
    return "; ".join(part for part in said if part)
