"""`evalscope.summarizer`: the figures of VLMEvalKit's files, as a list of dicts."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assay.domain.errors import CorruptError
from assay.evalscope.config import TaskLike, Tasks
from assay.evalscope.found import newest_ended, report_of_complete, resolved


class Summarizer:
    """What EvalScope calls its reader of results."""

    @staticmethod
    def get_report_from_cfg(
        task_cfg: TaskLike | Tasks,
    ) -> list[dict[str, Any]]:
        """The figures of the newest run that a task config describes.

        One dict per figure file of VLMEvalKit's: `{name of the file without its ending: content}`,
        where the content is a JSON file's, or the first row of a CSV file as strings. A CSV file's
        further rows follow it in dicts of the same shape, named `<name>#2`, `<name>#3` and so on.

        Args:
            task_cfg: what `run_task` takes, in whichever form: the run is found by what it asks for.

        Raises:
            ConfigError: it is refused.
            NotFoundError: no run of it has ended.
            RunError: the newest one failed, or is below its coverage.
            CorruptError: a file of the run cannot be read.
        """
        if isinstance(task_cfg, list | tuple):
            return [entry for each in task_cfg for entry in _entries(each)]
        return list(_entries(task_cfg))


def _entries(task_cfg: TaskLike) -> Iterator[dict[str, Any]]:
    run_dir = newest_ended(resolved(task_cfg))
    for task in report_of_complete(run_dir)["tasks"]:
        paths = [run_dir / name for name in task["files"]]
        # EvalScope reads the CSV files of a model first.
        for path in sorted(paths, key=lambda path: (path.suffix, path.name)):
            yield from _figures(path)


def _figures(path: Path) -> Iterator[dict[str, Any]]:
    """What one file holds; nothing where it holds no figures."""
    try:
        if path.suffix == ".json":
            yield {path.stem: json.loads(path.read_text("utf-8-sig"))}
        elif path.suffix == ".csv":
            yield from _rows(path)
    except (OSError, ValueError, csv.Error) as error:
        raise CorruptError(
            f"cannot read {path}: {error}", cure="run it again; the file was changed"
        ) from error


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for number, row in enumerate(rows or [{}], 1):
        yield {path.stem if number == 1 else f"{path.stem}#{number}": row}
