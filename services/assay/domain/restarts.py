"""When a part that ended is started again, and when it is given up: the rules `decide` shares."""

from __future__ import annotations

from dataclasses import dataclass

from assay.domain.observed import Death, Ending, PartView
from assay.domain.snapshot import RunSnapshot
from assay.domain.task import TaskState

DEATHS_IN_A_ROW = 6
"""Deaths without progress after which a part is given up: above what chance kills in a row explain."""

SHORT_LIFE_SECONDS = 60.0
"""A part that lived longer is not in a crash loop, even where it made no progress (a slow endpoint)."""

_FIRST_DELAY = 0.25
_LONGEST_DELAY = 8.0

_STATE_ORDER = {
    **{state: place for place, state in enumerate(TaskState)},
    # A scorer that dies makes a task INFERRED again: having begun is no progress.
    TaskState.SCORING: list(TaskState).index(TaskState.INFERRED),
}


def progress_of(snapshot: RunSnapshot | None, datasets_ready: int) -> int:
    """One number that changes whenever a run has come further."""
    if snapshot is None:
        return datasets_ready
    judged = sum(queue.answered_count for queue in snapshot.queues)
    return (
        datasets_ready
        + judged
        + sum(
            task.counts.predicted
            + 2 * (task.counts.scored + task.counts.unscored)
            + _STATE_ORDER[task.state]
            for task in snapshot.tasks
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a part's deaths mean now.

    Attributes:
        due: when it may be started again.
        given_up: why it is not started any more; empty: it is.
    """

    due: float
    given_up: str = ""


def standing(what: str, view: PartView) -> Standing:
    """What the deaths of a part mean; `what` names it to people."""
    if not view.deaths:
        return Standing(due=0.0)
    last = view.deaths[-1]
    if last.ending in {Ending.REFUSED, Ending.HELD}:
        why = last.message or f"{what} cannot run as it was told to"
        return Standing(due=last.at, given_up=_with_journal(why, view))
    row = _short_lives_in_a_row(view.deaths)
    if row >= DEATHS_IN_A_ROW:
        why = f"{what} ended {row} times in a row without progress"
        if last.message:
            why += f": {last.message}"
        return Standing(due=last.at, given_up=_with_journal(why, view))
    delay = min(_FIRST_DELAY * 2.0 ** max(row - 1, 0), _LONGEST_DELAY)
    return Standing(due=last.at + delay)


def _with_journal(why: str, view: PartView) -> str:
    return f"{why} (see {view.journal})" if view.journal else why


def _short_lives_in_a_row(deaths: tuple[Death, ...]) -> int:
    row = 0
    for death in reversed(deaths):
        if death.progress != deaths[-1].progress or death.lived > SHORT_LIFE_SECONDS:
            break
        row += 1
    return row
