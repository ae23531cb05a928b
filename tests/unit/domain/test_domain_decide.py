"""Each rule of `decide`, as a world and the actions it must lead to."""

from dataclasses import replace

import pytest

from assay.domain.actions import (
    AttachDataset,
    EnsureWorkers,
    FailDataset,
    FinishRun,
    Leave,
    OpenRun,
    Outcome,
    PrepareDataset,
    RetryUnscored,
    Service,
    StartScorer,
    StartService,
    StopScorer,
    StopWorkers,
    Wait,
)
from assay.domain.decide import decide
from assay.domain.observed import Ending, Observed, PreparationState
from assay.domain.restarts import progress_of
from assay.domain.run import Mode
from assay.domain.task import TaskId
from support.decisions import (
    BOTH_UP,
    DIGEST,
    PICTURES,
    READY,
    dead,
    model,
    observed,
    prepared,
    queue,
    run_of,
    snapshot,
    task,
)

RUN = run_of()
TASK = TaskId("m", "d")
DONE = task("COMPLETE")
FAILED_ONCE = {
    "state": PreparationState.FAILED,
    "reason": "DATASET_UNUSABLE",
    "message": "no",
    "failures": 1,
    "failed_at": 99.0,
}


def test_a_new_run_starts_both_services_and_workers_that_may_wait():
    actions = decide(RUN, Observed(now=1.0, early_workers=True))
    assert actions == (
        StartService(Service.DATASET),
        StartService(Service.AGGREGATOR),
        EnsureWorkers("m", 1),
        Wait(),
    )


def test_workers_that_cost_something_wait_for_a_dataset():
    assert EnsureWorkers("m", 1) not in decide(RUN, Observed(now=1.0))
    actions = decide(RUN, observed(task("INFERRING"), replicas={"m": 3}))
    assert EnsureWorkers("m", 3) in actions


def test_a_run_is_opened_and_its_datasets_are_prepared_side_by_side():
    actions = decide(RUN, observed(task("WAITING"), opened=False))
    assert actions == (OpenRun(), PrepareDataset("d", PICTURES), Wait())


def test_a_preparation_under_way_is_not_asked_for_again():
    world = observed(task("WAITING"), preparations=prepared(PreparationState.PREPARING))
    assert decide(RUN, world) == (Wait(),)


def test_a_ready_dataset_is_attached_once_the_run_is_open():
    world = observed(task("WAITING"), preparations=prepared())
    assert AttachDataset("d", ("m",), DIGEST) in decide(RUN, world)
    closed = replace(world, opened=False)
    assert AttachDataset("d", ("m",), DIGEST) not in decide(RUN, closed)


def test_a_pinned_dataset_is_not_prepared_again_and_needs_no_dataset_service():
    world = observed(task("INFERRING"), services={Service.AGGREGATOR: READY})
    assert decide(RUN, world) == (EnsureWorkers("m", 1), Wait())


def test_models_of_equal_picture_policy_share_one_preparation():
    small = replace(PICTURES, img_size=224)
    run = replace(RUN, models=(model("a"), model("b", pictures=small), model("c")))
    tasks = [task("WAITING", model=key) for key in "abc"]
    world = observed(*tasks, preparations=prepared())
    actions = decide(run, world)
    assert AttachDataset("d", ("a", "c"), DIGEST) in actions
    assert PrepareDataset("d", small) in actions


def test_a_dataset_that_cannot_be_had_fails_its_tasks_and_no_others():
    run = run_of(datasets=("d", "e"))
    world = observed(
        task("WAITING"),
        task("INFERRING", dataset="e"),
        preparations=prepared(**FAILED_ONCE),
        workers={"m": READY},
    )
    assert decide(run, world) == (
        FailDataset("d", ("m",), "DATASET_UNUSABLE", "no"),
        Wait(),
    )


def test_a_source_that_does_not_answer_is_tried_again_after_a_while():
    world = observed(
        task("WAITING"), preparations=prepared(**FAILED_ONCE, transient=True)
    )
    assert decide(RUN, world) == (Wait(104.0),)
    later = replace(world, now=104.0)
    assert PrepareDataset("d", PICTURES) in decide(RUN, later)


def test_a_source_that_never_answers_fails_the_dataset():
    failure = {**FAILED_ONCE, "failures": 3}
    world = observed(task("WAITING"), preparations=prepared(**failure, transient=True))
    assert FailDataset("d", ("m",), "DATASET_UNUSABLE", "no") in decide(RUN, world)


def test_a_dataset_service_that_keeps_dying_fails_what_is_not_prepared():
    world = observed(
        task("WAITING"), services={**BOTH_UP, Service.DATASET: dead(times=6)}
    )
    (action, _) = decide(RUN, world)
    assert isinstance(action, FailDataset)
    assert "6 times in a row" in action.message
    assert "logs/it.log" in action.message


@pytest.mark.parametrize("state", ["INFERRED", "SCORING"])
def test_an_inferred_task_gets_a_scorer(state):
    world = observed(task(state), queues=(queue("CLOSED"),))
    assert StartScorer(TASK) in decide(RUN, world)
    busy = replace(world, scorers={TASK: READY})
    assert decide(RUN, busy) == (Wait(),)


def test_only_so_many_scorers_run_at_a_time():
    run = run_of(datasets=("d", "e", "f"))
    tasks = [task("INFERRED", dataset=name) for name in "def"]
    actions = decide(run, observed(*tasks, scorer_slots=2))
    assert [a.task.dataset for a in actions if isinstance(a, StartScorer)] == ["d", "e"]


def test_a_run_that_only_infers_has_its_tables_written_like_any_other():
    run = replace(RUN, mode=Mode.INFER)
    assert StartScorer(TASK) in decide(run, observed(task("INFERRED")))


def test_a_run_is_finished_when_every_task_has_ended():
    run = run_of(datasets=("d", "e", "f"))
    tasks = (DONE, task("BELOW_COVERAGE", dataset="e"), task("FAILED", dataset="f"))
    assert decide(run, observed(*tasks)) == (FinishRun(), Wait())


def test_a_finished_run_is_left():
    for state in ("COMPLETE", "BELOW_COVERAGE", "FAILED"):
        assert decide(RUN, observed(DONE, state=state)) == (Leave(Outcome.FINISHED),)


@pytest.mark.parametrize("state", ["BELOW_COVERAGE", "FAILED"])
def test_going_on_with_a_run_that_ended_asks_again_what_is_unscored(state):
    world = observed(task("BELOW_COVERAGE"), state=state, going_on=True)
    assert decide(RUN, world) == (RetryUnscored(), Wait())
    assert decide(RUN, replace(world, retried=True)) == (Leave(Outcome.FINISHED),)


def test_going_on_with_a_complete_run_leaves_it_alone_unless_a_retry_is_asked_for():
    world = observed(DONE, state="COMPLETE", going_on=True)
    assert decide(RUN, world) == (Leave(Outcome.FINISHED),)
    asked = replace(world, retry_asked=True)
    assert decide(RUN, asked) == (RetryUnscored(), Wait())


def test_who_scores_asks_nothing_and_says_what_is_missing():
    run = replace(RUN, mode=Mode.EVAL)
    left = task("INFERRING", total=9, pending=7, leased=0, predicted=2)
    (finish, _) = decide(run, observed(left, going_on=True))
    assert isinstance(finish, FinishRun)
    assert "incomplete inference: 7 of 9 samples of m/d" in finish.failure
    for state in ("BELOW_COVERAGE", "FAILED"):
        ended = observed(left, state=state, going_on=True, retry_asked=True)
        assert decide(run, ended) == (Leave(Outcome.FINISHED),)


def test_who_scores_prepares_nothing_but_what_is_gone():
    run = replace(RUN, mode=Mode.EVAL)
    nothing = observed(services={}, early_workers=True)
    assert decide(run, nothing) == (StartService(Service.AGGREGATOR), Wait())
    assert PrepareDataset("d", PICTURES) in decide(run, observed(task("WAITING")))


def test_a_worker_that_died_is_started_again_after_a_delay_that_doubles():
    for times, delay in ((1, 0.25), (2, 0.5), (5, 4.0)):
        world = observed(task("INFERRING"), workers={"m": dead(times=times)})
        assert decide(RUN, world) == (Wait(100.0 + delay),)
        later = replace(world, now=100.0 + delay)
        assert EnsureWorkers("m", 1) in decide(RUN, later)


def test_a_worker_that_keeps_dying_ends_the_run_and_names_its_log():
    view = dead(times=6, message="no module named x")
    world = observed(task("INFERRING"), workers={"m": view})
    (finish, _) = decide(RUN, world)
    assert isinstance(finish, FinishRun)
    assert "6 times in a row" in finish.failure
    assert "no module named x" in finish.failure
    assert "logs/it.log" in finish.failure


def test_having_begun_to_score_is_no_progress():
    begun, not_begun = (snapshot(task(state)) for state in ("SCORING", "INFERRED"))
    assert progress_of(begun, 1) == progress_of(not_begun, 1)
    assert progress_of(snapshot(task("COMPLETE")), 1) != progress_of(begun, 1)


def test_deaths_after_a_long_life_are_no_crash_loop():
    view = dead(times=6, lived=3600.0)
    world = observed(task("INFERRING"), workers={"m": view}, now=200.0)
    assert EnsureWorkers("m", 1) in decide(RUN, world)


def test_a_scorer_that_cannot_run_ends_the_run_after_the_other_tasks():
    run = run_of(datasets=("d", "e"))
    refused = dead(ending=Ending.REFUSED, message="no Landlock here")
    tasks = (task("INFERRED"), task("INFERRING", dataset="e"))
    world = observed(*tasks, scorers={TASK: refused}, workers={"m": READY})
    assert decide(run, world) == (Wait(),)
    ended = observed(tasks[0], task("COMPLETE", dataset="e"), scorers={TASK: refused})
    assert FinishRun("no Landlock here (see logs/it.log)") in decide(run, ended)


@pytest.mark.parametrize("ending", [Ending.HELD, Ending.REFUSED])
def test_an_aggregator_that_may_not_run_ends_everything_at_once(ending):
    view = dead(ending=ending, message="held by process 7")
    world = observed(task("INFERRING"), services={Service.AGGREGATOR: view})
    (leave,) = decide(RUN, world)
    assert leave == Leave(Outcome.FAILED, "held by process 7 (see logs/it.log)")


def test_an_aggregator_that_died_is_started_and_told_again():
    world = observed(
        task("INFERRING"),
        opened=False,
        workers={"m": READY},
        services={Service.AGGREGATOR: dead()},
        now=101.0,
    )
    assert StartService(Service.AGGREGATOR) in decide(RUN, world)
    assert OpenRun() in decide(RUN, replace(world, services=BOTH_UP))


def test_a_dead_endpoint_is_waited_for_and_then_ends_the_run():
    run = replace(RUN, endpoint_patience=30.0)
    world = observed(
        task("INFERRING"), queues=(queue(dead_for=10.0),), workers={"m": READY}
    )
    assert decide(run, world) == (Wait(120.0),)
    (finish, _) = decide(run, replace(world, now=120.0))
    assert isinstance(finish, FinishRun)
    assert "refuses connections" in finish.failure


def test_a_dead_endpoint_lets_the_other_models_finish():
    run = run_of(models=("m", "n"), endpoint_patience=30.0)
    queues = (queue(dead_for=99.0), queue(model="n"))
    workers = {"m": READY, "n": READY}
    tasks = task("INFERRING"), task("INFERRING", model="n")
    assert decide(run, observed(*tasks, queues=queues, workers=workers)) == (Wait(),)
    ended = observed(tasks[0], task("COMPLETE", model="n"), queues=queues)
    assert any(isinstance(a, FinishRun) for a in decide(run, ended))


def test_an_empty_queue_needs_no_workers():
    world = observed(task("INFERRED"), queues=(queue("CLOSED"),), scorers={TASK: READY})
    assert decide(RUN, world) == (Wait(),)
    assert StopWorkers("m") in decide(RUN, replace(world, workers={"m": READY}))


def test_a_wish_to_stop_lets_workers_finish_and_drops_scorers():
    world = observed(
        task("INFERRING"), drain=True, workers={"m": READY}, scorers={TASK: READY}
    )
    assert decide(RUN, world) == (StopWorkers("m"), StopScorer(TASK), Wait())
    assert decide(RUN, replace(world, workers={}, scorers={})) == (
        Leave(Outcome.INTERRUPTED, "interrupted"),
    )


def test_a_call_that_can_never_succeed_ends_everything():
    world = observed(task("INFERRING"), fatal="the disk is full")
    assert decide(RUN, world) == (Leave(Outcome.FAILED, "the disk is full"),)
