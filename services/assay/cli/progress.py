"""What a person sees while a run goes on: bars on a terminal, a plain line now and then elsewhere.

Everything goes to standard error; standard output is for the result.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from assay.cli.errors import on_one_line
from assay.cli.pace import Pace, done_of
from assay.domain.prepared import StageProgress
from assay.domain.run import Run
from assay.domain.snapshot import RunSnapshot, TaskSnapshot
from assay.domain.task import TaskId, TaskState
from assay.local.listener import Listener

_PLAIN_SECONDS = 5.0
"""How often a plain line may say that a task has come further."""


@contextmanager
def progress() -> Iterator[Progress]:
    """A listener that shows on standard error how a run goes."""
    if not sys.stderr.isatty():
        yield PlainProgress()
        return
    # Drawing is imported where there is something to draw on.
    from assay.cli.bars import BarProgress  # noqa: PLC0415

    with BarProgress.shown() as listener:
        yield listener


class Progress(Listener):
    """What both kinds have in common: sentences."""

    def say(self, line: str) -> None:
        """Writes one line for the person."""
        raise NotImplementedError

    def started(self, run: Run, run_id: str, run_dir: Path, *, going_on: bool) -> None:
        """Says where the run is and what of its file has no effect."""
        verb = "going on with" if going_on else "run"
        self.say(f"{verb} {run_id} in {run_dir}")
        for note in run.notes:
            self.say(f"note: {note}")

    def noticed(self, sentence: str) -> None:
        """Says it."""
        self.say(f"notice: {sentence}")

    def draining(self) -> None:
        """Says what a stop means."""
        self.say(
            "stopping: requests in flight may finish; the same again ends everything at once"
        )


class PlainProgress(Progress):
    """Lines for logs: stages as they begin, counts every few seconds, ends."""

    def __init__(self) -> None:
        self._stages: dict[str, str] = {}
        self._states: dict[TaskId, set[TaskState]] = {}
        self._paces: dict[TaskId, Pace] = {}
        self._said: dict[TaskId, tuple[float, int]] = {}

    def say(self, line: str) -> None:
        """Writes one line to standard error."""
        sys.stderr.write(f"{on_one_line(line)}\n")
        sys.stderr.flush()

    def preparing(self, dataset: str, step: StageProgress) -> None:
        """Says which stage has begun."""
        stage = step.stage.value.lower()
        if self._stages.get(dataset) != stage:
            self._stages[dataset] = stage
            self.say(f"{dataset}: {stage}")

    def prepared(self, dataset: str, sample_count: int) -> None:
        """Says that it is ready."""
        self.say(f"{dataset}: {sample_count} samples ready")

    def looked(self, snapshot: RunSnapshot) -> None:
        """Says what has changed, not too often."""
        now = time.monotonic()
        for task in snapshot.tasks:
            self._look(task, now)

    def _look(self, task: TaskSnapshot, now: float) -> None:
        if task.state is TaskState.WAITING:
            # Its dataset is not open yet: answers that are there already would look new later.
            return
        done = done_of(task.counts)
        pace = self._paces.setdefault(task.id, Pace())
        pace.saw(now, done)
        told = self._states.setdefault(task.id, set())
        # A scorer that starts over is said by a notice, not by the states it goes through again.
        changed = task.state not in told
        said_at, said = self._said.get(task.id, (now, 0))
        self._said.setdefault(task.id, (now, 0))
        due = now - said_at >= _PLAIN_SECONDS and done != said
        if changed or due:
            if task.state is TaskState.INFERRING and changed:
                told.clear()
            told.add(task.state)
            self._said[task.id] = (now, done)
            self.say(_line(task, pace))


def _line(task: TaskSnapshot, pace: Pace) -> str:
    counts = task.counts
    parts = [f"{task.id}: {task.state.value.lower().replace('_', ' ')}"]
    parts.append(f"{done_of(counts)}/{counts.total}")
    if task.state is TaskState.INFERRING and pace.words(counts.total):
        parts.append(pace.words(counts.total))
    if counts.unscored:
        parts.append(f"{counts.unscored} failed")
    return ", ".join(parts)
