"""`evalscope.run`: `run_task`, which never turns a failure into silence.

Scripts written for EvalScope call it. EvalScope returns `{}` and exits with 0 even where every dataset
failed; here such a run raises, and the error names its report.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assay.cli.progress import progress
from assay.domain.errors import AssayError, RunError
from assay.domain.report import RunState
from assay.evalscope.config import TaskConfig, TaskLike, Tasks
from assay.evalscope.found import how_to_go_on, report_of_complete, resolved
from assay.local import RunOutcome, run
from assay.local.run import INTERRUPTED


def run_task(
    task_cfg: TaskLike | Tasks,
) -> dict[str, Any] | list[dict[str, Any]]:
    """Evaluates what a task config asks for, and returns when it has ended.

    Of a list, every config is checked before the first starts, and each is run even where an earlier
    one failed.

    Args:
        task_cfg: a TaskConfig, a nested dict, the path of a YAML or JSON file, or a list of those. It
            is not changed.

    Returns:
        Where the result is: `run_id`, `run_dir` and `report` (its path); a list of them for a list.

    Raises:
        ConfigError: it is refused; nothing was started.
        RunError: a run failed, could not be finished, or is below its coverage.
        KeyboardInterrupt: it was stopped; every acknowledged answer is kept.
        AssayError: as `assay.local.run` says.
    """
    if isinstance(task_cfg, list | tuple):
        return _each(task_cfg)
    return _one(task_cfg)


def _each(task_cfgs: Tasks) -> list[dict[str, Any]]:
    for task_cfg in task_cfgs:
        resolved(task_cfg)
    results, errors = [], list[AssayError]()
    for task_cfg in task_cfgs:
        try:
            results.append(_one(task_cfg))
        except AssayError as error:
            errors.append(error)
    if len(errors) > 1:
        said = "; ".join(error.message for error in errors)
        raise RunError(
            f"{len(errors)} of {len(task_cfgs)} runs did not end as asked: {said}",
            cure=errors[0].cure,
        ) from errors[0]
    if errors:
        raise errors[0]
    return results


def _one(task_cfg: TaskLike) -> dict[str, Any]:
    source = task_cfg.to_dict() if isinstance(task_cfg, TaskConfig) else task_cfg
    # What is refused for its type is refused here, in words.
    resolved(source)
    with progress() as listener:
        outcome = run(source, listener=listener)
    _check(outcome)
    return {
        "run_id": outcome.run_id,
        "run_dir": str(outcome.run_dir),
        "report": str(outcome.report),
    }


def _check(outcome: RunOutcome) -> None:
    """Passes a run that is complete.

    Raises:
        KeyboardInterrupt: it was stopped.
        RunError: anything else.
    """
    where: Path = outcome.run_dir
    if outcome.exit_code == INTERRUPTED:
        msg = f"the run in {where} was stopped; to go on, {how_to_go_on(where)}"
        raise KeyboardInterrupt(msg)
    if outcome.state is RunState.RUNNING:
        raise RunError(
            f"the run in {where} could not be finished: {outcome.message}",
            # Held by another, the message says whom to wait for.
            cure="" if outcome.held else how_to_go_on(where),
        )
    report_of_complete(where)
