"""Live bars on a terminal: one per dataset being prepared, one per task."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as RichProgress

from assay.cli.errors import on_one_line
from assay.cli.pace import Pace, done_of
from assay.cli.progress import Progress
from assay.cli.sizes import stage_words
from assay.domain.prepared import PrepareStage, StageProgress
from assay.domain.snapshot import RunSnapshot, TaskSnapshot
from assay.domain.task import TaskId, TaskState

_HIDDEN = {TaskState.WAITING}


class BarProgress(Progress):
    """Draws on standard error."""

    def __init__(self, drawn: RichProgress) -> None:
        self._drawn = drawn
        self._datasets: dict[str, TaskID] = {}
        self._tasks: dict[TaskId, TaskID] = {}
        self._paces: dict[TaskId, Pace] = {}
        self._stages: dict[tuple[str, PrepareStage], Pace] = {}

    @classmethod
    @contextmanager
    def shown(cls) -> Iterator[BarProgress]:
        """A listener with its bars on the screen."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[words]}"),
        )
        console = Console(stderr=True)
        with RichProgress(*columns, console=console, expand=True) as drawn:
            yield cls(drawn)

    def say(self, line: str) -> None:
        """Prints one line above the bars."""
        self._drawn.console.print(on_one_line(line), markup=False, highlight=False)

    def preparing(self, dataset: str, step: StageProgress) -> None:
        """Moves the dataset's bar."""
        bar = self._datasets.get(dataset)
        if bar is None:
            bar = self._drawn.add_task(escape(dataset), total=None, words="")
            self._datasets[dataset] = bar
        pace = self._stages.setdefault((dataset, step.stage), Pace())
        pace.saw(time.monotonic(), step.done)
        self._drawn.update(
            bar,
            total=step.total or None,
            completed=step.done,
            words=stage_words(step, pace.per_second),
        )

    def prepared(self, dataset: str, sample_count: int) -> None:
        """Takes the dataset's bar away: its tasks have theirs."""
        del sample_count
        bar = self._datasets.pop(dataset, None)
        if bar is not None:
            self._drawn.remove_task(bar)

    def looked(self, snapshot: RunSnapshot) -> None:
        """Moves the tasks' bars."""
        for task in snapshot.tasks:
            if task.state not in _HIDDEN:
                self._move(task)

    def _move(self, task: TaskSnapshot) -> None:
        bar = self._tasks.get(task.id)
        if bar is None:
            bar = self._drawn.add_task(escape(str(task.id)), total=None, words="")
            self._tasks[task.id] = bar
        pace = self._paces.setdefault(task.id, Pace())
        done = done_of(task.counts)
        pace.saw(time.monotonic(), done)
        self._drawn.update(
            bar,
            total=task.counts.total or None,
            completed=done,
            words=_words(task, pace),
        )


def _words(task: TaskSnapshot, pace: Pace) -> str:
    counts = task.counts
    words = [f"{done_of(counts)}/{counts.total}"]
    if task.state is TaskState.INFERRING:
        words.append(pace.words(counts.total))
    else:
        words.append(task.state.value.lower().replace("_", " "))
    if counts.unscored:
        words.append(f"{counts.unscored} failed")
    return ", ".join(word for word in words if word)
