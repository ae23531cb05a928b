"""What one run has cost and how long it was at what, since this process has it; counted as it happens.

`RunBook` and `JudgeBench` tell it of records that have become durable, `metrics` reads it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from assay.aggregator.tasks import Task
from assay.domain.completion import Completion
from assay.domain.task import TaskId, TaskState
from assay.telemetry.tally import Tally

ANSWERED = "answered"

_MARK_SECONDS = 1.0
"""How exact the time in each state is: looking at every task costs more than the rest."""


@dataclass(slots=True)
class Asked:
    """What was asked about one task, or of the judge.

    Attributes:
        results: durable records by `answered` or the reason there is no answer.
        attempts: requests, those made again included.
        seconds: of the last attempt of each record.
    """

    results: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: Tally = field(default_factory=Tally)

    def count(self, completion: Completion) -> None:
        """Takes one durable record in."""
        failure = completion.failure
        self.results[ANSWERED if failure is None else failure.reason.value] += 1
        self.attempts += completion.attempts
        self.prompt_tokens += completion.prompt_tokens
        self.completion_tokens += completion.completion_tokens
        self.seconds.observe(completion.latency)


class RunMeters:
    """The counters of one run."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Has counted nothing.

        Args:
            clock: seconds that never go back.
        """
        self._clock = clock
        self.asked: dict[TaskId, Asked] = {}
        self.phases: dict[TaskId, dict[TaskState, float]] = {}
        """Seconds that each task was in each state."""
        self._marked = clock()
        self._states: dict[TaskId, TaskState] = {}
        self._answered_at: dict[str, float] = {}

    def count(
        self, queue: str, task: TaskId, completions: Iterable[Completion]
    ) -> None:
        """Takes durable records of a task in, asked through a queue."""
        asked = self.asked.setdefault(task, Asked())
        for completion in completions:
            asked.count(completion)
        self._answered_at[queue] = self._clock()

    def quiet_seconds(self, queue: str, open_count: int) -> float:
        """How long work has waited in a queue since its last record became durable; 0: none waits."""
        now = self._clock()
        if not open_count:
            self._answered_at[queue] = now
        return now - self._answered_at.setdefault(queue, now)

    def mark(self, tasks: Iterable[Task]) -> None:
        """Counts the time since the last mark to the states that tasks were in; cheap if it was just now."""
        now = self._clock()
        if self._states and now - self._marked < _MARK_SECONDS:
            return
        for task, state in self._states.items():
            phases = self.phases.setdefault(task, {})
            phases[state] = phases.get(state, 0.0) + now - self._marked
        self._states, self._marked = {task.id: task.state for task in tasks}, now
