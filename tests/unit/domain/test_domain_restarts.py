"""Deaths in a row end a part only where nothing came of its lives."""

from __future__ import annotations

from assay.domain.judge import JUDGE_QUEUE
from assay.domain.lease import QueueState
from assay.domain.observed import Death, Ending, PartView
from assay.domain.report import RunState
from assay.domain.restarts import DEATHS_IN_A_ROW, progress_of, standing
from assay.domain.snapshot import QueueSnapshot, RunSnapshot


def judged(answers: int) -> RunSnapshot:
    queue = QueueSnapshot(
        queue=JUDGE_QUEUE, state=QueueState.OPEN, answered_count=answers
    )
    return RunSnapshot(
        run_id="r",
        state=RunState.RUNNING,
        tasks=(),
        queues=(queue,),
        epoch=1,
        version=1,
    )


def dying(progress: list[int]) -> PartView:
    deaths = [
        Death(at=float(n), lived=1.0, ending=Ending.CRASHED, progress=each)
        for n, each in enumerate(progress)
    ]
    return PartView(deaths=tuple(deaths))


def test_answers_of_a_judge_are_progress() -> None:
    seen = [progress_of(judged(answers), 1) for answers in range(3)]
    assert seen == [1, 2, 3]


def test_a_scorer_that_is_killed_between_answers_is_never_given_up() -> None:
    lives = [progress_of(judged(answers), 1) for answers in range(20)]
    assert not standing("the scorer", dying(lives)).given_up


def test_a_scorer_that_dies_again_and_again_over_nothing_is_given_up() -> None:
    lives = [progress_of(judged(4), 1)] * DEATHS_IN_A_ROW
    assert "6 times in a row" in standing("the scorer", dying(lives)).given_up
