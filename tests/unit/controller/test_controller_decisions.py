"""Decisions, Jobs and what is read out of them, together: a run is taken to its end, each write made once."""

from __future__ import annotations

import pytest

from support.decisions import task
from support.evalruns import FILE, file_with
from support.simulated_jobs import Jobs

ONE = file_with(model=[FILE["eval_config"]["model"][0]], data=["MMStar"])


def at(state, **counts):
    return task(state, "My_Model", "MMStar", **counts)


def test_a_run_takes_its_workers_then_its_scorer_and_writes_each_once() -> None:
    jobs = Jobs()
    assert jobs.step(at("INFERRING"), file=ONE) == ["create infer"]
    jobs.run_all()
    assert jobs.step(at("INFERRING", predicted=3), file=ONE) == []
    assert jobs.step(at("INFERRED"), file=ONE) == ["delete infer", "create scorer"]
    jobs.run_all()
    assert jobs.step(at("SCORING"), file=ONE) == []


def test_replicas_follow_the_spec_up_and_down_without_another_job() -> None:
    jobs = Jobs()
    did = []
    for count in (2, 3, 1):
        placement = {"models": {"My_Model": {"replicas": count}}}
        did += jobs.step(at("INFERRING"), file=ONE, placement=placement)
        jobs.run_all()
    assert did == ["create infer", "patch infer", "patch infer"]
    assert len(jobs.pods) == 1


def test_no_worker_comes_before_its_dataset_is_there() -> None:
    assert Jobs().step(at("WAITING"), file=ONE) == []


@pytest.mark.parametrize("end", ["Failed", "Complete"])
def test_work_that_is_left_when_a_job_ends_gets_its_next_generation(end) -> None:
    jobs = Jobs()
    jobs.step(at("INFERRING"), file=ONE)
    (first,) = jobs.manifests
    jobs.ended[first] = end
    assert jobs.step(at("INFERRING"), file=ONE) == ["create infer"]
    assert sorted(jobs.manifests) == [first, f"{first[:-1]}2"]


def test_a_run_suspended_and_let_go_on_keeps_its_jobs() -> None:
    jobs = Jobs()
    jobs.step(at("INFERRING"), file=ONE)
    assert jobs.step(at("INFERRING"), file=ONE, suspend=True) == ["patch infer"]
    assert jobs.step(at("INFERRING"), file=ONE, suspend=True) == []
    assert jobs.step(at("INFERRING"), file=ONE) == ["patch infer"]
