"""Actions become writes against the API server, and Jobs that live follow the spec."""

from __future__ import annotations

import msgspec
import pytest

from assay.controller.plan import (
    CreateJob,
    DeleteJob,
    PatchJob,
    dismiss,
    expire,
    forgive,
    upkeep,
    writes_for,
)
from assay.domain.actions import (
    EnsureWorkers,
    FinishRun,
    StartScorer,
    StopScorer,
    StopWorkers,
)
from support.controlled import PLATFORM, TASK, owner_of, scorer, workers
from support.watched import SCORER, ago, job, pod, seen, waiting_pod

MODEL = "My_Model"
KEYS = {"keysSecret": "demo-keys"}


def asked(action, *jobs, pods=(), **spec):
    return writes_for(
        action, owner_of(**KEYS, **spec), seen(list(jobs), pods), PLATFORM
    )


def kept_up(*jobs, pods=(), **spec):
    return upkeep(owner_of(**KEYS, **spec), seen(list(jobs), list(pods)), PLATFORM)


def replicas(count):
    return {"models": {MODEL: {"replicas": count}}}


@pytest.mark.parametrize(
    ("action", "manifest"),
    [(EnsureWorkers(MODEL, 1), workers()), (StartScorer(TASK), scorer(**KEYS))],
)
def test_what_is_not_there_is_made_once(action, manifest) -> None:
    assert asked(action) == [CreateJob(manifest)]
    assert asked(action, job(manifest)) == []


@pytest.mark.parametrize("end", ["Complete", "Failed"])
def test_after_a_job_has_ended_the_next_generation_is_made(end) -> None:
    (write,) = asked(EnsureWorkers(MODEL, 1), job(ended=end))
    assert write == CreateJob(workers(generation=2))


@pytest.mark.parametrize(
    ("action", "there"),
    [(StopWorkers(MODEL), job()), (StopScorer(TASK), job(SCORER))],
)
def test_what_is_to_stop_is_deleted_by_name_and_uid(action, there) -> None:
    wanted = DeleteJob(there.metadata.name, there.metadata.uid)
    assert asked(action, there) == [wanted]
    assert asked(action) == []


def test_an_action_that_is_no_jobs_business_writes_nothing() -> None:
    assert asked(FinishRun()) == []


def test_a_job_that_is_as_it_should_be_is_left_alone() -> None:
    assert kept_up(job(), job(SCORER)) == []


@pytest.mark.parametrize("count", [1, 3])
def test_another_number_of_replicas_rescales_the_running_job(count) -> None:
    two = job(workers(placement=replicas(2)))
    (write,) = kept_up(two, pods=[pod()], placement=replicas(count))
    assert isinstance(write, PatchJob)
    assert write.patch == {"spec": {"completions": count, "parallelism": count}}


def test_suspending_and_going_on_patch_every_living_job() -> None:
    away = kept_up(job(), job(SCORER), suspend=True)
    assert [w.patch["spec"] for w in away] == [{"suspend": True}] * 2
    (back,) = kept_up(job(workers(suspend=True)))
    assert back.patch == {"spec": {"suspend": False}}


def test_in_a_queue_only_the_queue_suspends() -> None:
    queue = {"queue": {"name": "gpus"}}
    waiting = job(workers(suspend=True, placement=queue))
    assert kept_up(waiting, placement=queue) == []


def test_a_suspended_run_has_no_jobs_in_a_queue_that_would_let_them_go() -> None:
    queue = {"queue": {"name": "gpus"}}
    there = job(workers(placement=queue))
    away = kept_up(there, placement=queue, suspend=True)
    assert away == [DeleteJob(there.metadata.name, there.metadata.uid)]
    asked_again = asked(EnsureWorkers(MODEL, 1), placement=queue, suspend=True)
    assert asked_again == []


def test_a_mended_image_replaces_a_job_none_of_whose_pods_could_begin() -> None:
    there = job()
    mended = {"images": {"worker": "assay/worker:mended"}}
    unpulled = waiting_pod("ImagePullBackOff", "not found")
    assert kept_up(there, pods=[unpulled]) == []
    wanted = DeleteJob(there.metadata.name, there.metadata.uid)
    assert kept_up(there, pods=[unpulled], placement=mended) == [wanted]


def test_a_job_on_a_lost_node_gives_way_to_its_next_generation() -> None:
    there = job()
    wanted = DeleteJob(there.metadata.name, there.metadata.uid)
    assert kept_up(there, pods=[pod(gone_by=ago(90))]) == [wanted]
    assert kept_up(there, pods=[pod(gone_by=ago(5))]) == []


def test_another_image_lets_pods_that_work_go_on() -> None:
    mended = {"images": {"worker": "assay/worker:2"}}
    assert kept_up(job(), pods=[pod()], placement=mended) == []


def test_jobs_expire_only_once_they_have_ended_and_only_once() -> None:
    owner = owner_of(ttlSecondsAfterFinished=60)
    ended = job(ended="Complete")
    (write,) = expire(owner, [ended, job(SCORER)])
    assert write.patch == {"spec": {"ttlSecondsAfterFinished": 60}}
    spec = msgspec.structs.replace(ended.spec, ttl_seconds_after_finished=60)
    assert expire(owner, [msgspec.structs.replace(ended, spec=spec)]) == []
    assert expire(owner_of(), [ended]) == []


def test_a_retry_forgets_what_ended_and_leaves_what_lives() -> None:
    ended = job(ended="Failed")
    wanted = DeleteJob(ended.metadata.name, ended.metadata.uid)
    assert forgive([ended, job(SCORER)]) == [wanted]


def test_an_execution_that_is_followed_loses_its_living_jobs() -> None:
    there = seen([job(), job(SCORER, ended="Complete")], [])
    assert dismiss(there) == [DeleteJob(job().metadata.name, job().metadata.uid)]
