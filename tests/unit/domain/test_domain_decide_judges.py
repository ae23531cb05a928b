"""When a judge's workers come and go, alone and where the models need the same GPUs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assay.domain.actions import EnsureWorkers, FinishRun, StopWorkers
from assay.domain.decide import decide
from assay.domain.judge import JUDGE_QUEUE
from assay.domain.observed import Ending
from assay.domain.run import Judge, Mode
from assay.domain.task import TaskId
from support.decisions import READY, dead, observed, queue, run_of, task

JUDGE = Judge(label="j", served_name="j", api_base="http://j.test/v1/chat/completions")
RUN = run_of(models=("m", "n"), datasets=("MMVet",), judge_model=JUDGE)
COMES, GOES = EnsureWorkers(JUDGE_QUEUE, 1), StopWorkers(JUDGE_QUEUE)
SEQUENTIAL = {"sequential": True}


def at(state, model="m", **counts):
    return task(state, model, "MMVet", **counts)


def decided(*tasks, waiting=0, run=RUN, workers=None, **changes):
    judge = replace(queue(model=JUDGE_QUEUE, workers=0), open_count=waiting)
    queues = (queue(model="m"), queue(model="n"), judge)
    scorers = {TaskId("m", "MMVet"): READY}
    return decide(
        run,
        observed(
            *tasks, queues=queues, workers=workers or {}, scorers=scorers, **changes
        ),
    )


def test_a_judge_comes_with_the_first_request_and_goes_when_nothing_is_left() -> None:
    there = {JUDGE_QUEUE: READY}
    open_one = at("INFERRING", "n")
    assert COMES in decided(at("SCORING"), open_one, waiting=1)
    assert GOES not in decided(at("SCORING"), open_one, workers=there)
    assert GOES in decided(at("COMPLETE"), open_one, workers=there)


def test_a_judge_does_not_come_before_there_is_anything_to_judge() -> None:
    assert COMES not in decided(at("INFERRING"), at("INFERRING", "n"))


def test_where_gpus_are_shared_a_judge_waits_for_the_last_sample_of_every_model() -> (
    None
):
    still = (at("SCORING"), at("INFERRING", "n"))
    assert COMES in decided(*still, waiting=3)
    assert COMES not in decided(*still, waiting=3, **SEQUENTIAL)
    assert COMES in decided(at("SCORING"), at("INFERRED", "n"), waiting=3, **SEQUENTIAL)


def test_where_gpus_are_shared_neither_kind_comes_while_the_other_is_there() -> None:
    over = (at("SCORING"), at("INFERRED", "n"))
    going = decided(*over, waiting=3, workers={"n": READY}, **SEQUENTIAL)
    assert StopWorkers("n") in going
    assert COMES not in going
    again = (at("INFERRING"), at("INFERRED", "n"))
    back = decided(*again, workers={JUDGE_QUEUE: READY}, **SEQUENTIAL)
    assert GOES in back
    assert EnsureWorkers("m", 1) not in back


@pytest.mark.parametrize("phases", [{}, SEQUENTIAL], ids=["parallel", "sequential"])
def test_a_model_that_was_given_up_keeps_no_judge_from_another(phases) -> None:
    lost = dead(ending=Ending.REFUSED, message="it cannot run")
    judging = (at("SCORING"), at("INFERRING", "n"))
    assert COMES in decided(*judging, waiting=3, workers={"n": lost}, **phases)
    over = (at("COMPLETE"), at("INFERRING", "n"))
    last = decided(*over, workers={"n": lost}, **phases)
    assert any(isinstance(action, FinishRun) for action in last)


@pytest.mark.parametrize("phases", [{}, SEQUENTIAL], ids=["parallel", "sequential"])
def test_where_nothing_is_asked_unanswered_samples_keep_no_judge_away(phases) -> None:
    scored_only = replace(RUN, mode=Mode.EVAL)
    tasks = (at("SCORING"), at("INFERRING", "n", total=5, pending=5))
    assert COMES in decided(*tasks, waiting=3, run=scored_only, **phases)
