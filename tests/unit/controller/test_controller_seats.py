"""Jobs and pods become what `decide` looks at: presence, deaths with last words, what is in the way."""

from __future__ import annotations

import json

import pytest

from assay.controller.seats import witnessed
from assay.domain.observed import Ending, Presence
from assay.domain.restarts import standing
from support.controlled import TASK, workers
from support.watched import (
    MOMENT,
    SCORER,
    ago,
    ended_pod,
    fact,
    job,
    pod,
    seen,
    waiting_pod,
)

MODEL = "My_Model"


def worker(jobs, pods, **given):
    return seen(jobs, pods, **given).workers[MODEL]


def only_death(one):
    (death,) = worker([job()], [one]).deaths
    return death


def hindrance(*pods, **status) -> str:
    (sentence,) = seen([job(**status)], list(pods)).hindrances
    return sentence


def test_without_a_job_nobody_is_there_and_nothing_has_happened() -> None:
    view = worker([], [])
    assert (view.presence, view.count, view.deaths) == (Presence.ABSENT, 0, ())


def test_seats_count_from_the_moment_their_job_is_there() -> None:
    three = workers(placement={"models": {MODEL: {"replicas": 3}}})
    view = worker([job(three)], [])
    assert (view.presence, view.count) == (Presence.STARTING, 3)


def test_one_running_pod_makes_the_workers_ready() -> None:
    pods = [pod(name="a", phase="Pending"), pod(name="b")]
    assert worker([job()], pods).presence is Presence.READY


@pytest.mark.parametrize("end", ["Complete", "Failed", "FailureTarget"])
def test_a_job_that_has_ended_keeps_no_seat(end) -> None:
    assert worker([job(ended=end)], []).presence is Presence.ABSENT


def test_another_evalruns_jobs_and_pods_are_not_looked_at() -> None:
    view = worker([job(owner="somebody")], [pod(), ended_pod(1, name="q")])
    assert (view.presence, view.deaths) == (Presence.ABSENT, ())


def test_a_name_that_a_deleted_evalruns_job_still_has_is_not_taken_again() -> None:
    first = job(workers(generation=4), owner="somebody")
    label = (first.metadata.labels or {})["assay.dev/seat"]
    assert seen([first], []).next_generation == {label: 5}


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        (0, Ending.DONE),
        (1, Ending.CRASHED),
        (2, Ending.REFUSED),
        (4, Ending.HELD),
        (75, Ending.MUST_GO),
        (137, Ending.CRASHED),
    ],
)
def test_an_exit_code_means_what_it_means_on_one_machine(code, ending) -> None:
    assert only_death(ended_pod(code)).ending is ending


def test_a_death_is_placed_on_the_clock_of_the_decision() -> None:
    death = only_death(ended_pod(1, lived=5, since=10))
    assert (death.at, death.lived, death.progress) == (MOMENT.now - 10, 5, 7)


def test_a_node_whose_clock_is_ahead_puts_no_death_into_the_future() -> None:
    assert only_death(ended_pod(1, since=-30)).at == MOMENT.now


def test_the_last_complaint_of_its_log_is_a_pods_last_word() -> None:
    event = {"level": "error", "event": "bad config", "error": "no key (mount it)"}
    log = 'cut off"}\n' + json.dumps(event) + "\n" + json.dumps({"level": "info"})
    assert only_death(ended_pod(2, said=log)).message == "bad config: no key (mount it)"


def test_a_pod_that_said_nothing_still_has_a_sentence() -> None:
    assert only_death(ended_pod(9)).message == "pod p exited with code 9"
    assert only_death(ended_pod(139)).message == "pod p was killed by SIGSEGV"


def test_want_of_memory_names_the_limit_and_the_cure() -> None:
    limits = {"resources": {"limits": {"memory": "512Mi"}}}
    manifest = workers(placement={"models": {MODEL: limits}})
    death = only_death(ended_pod(137, why="OOMKilled", manifest=manifest))
    assert "its limit of 512Mi" in death.message
    assert "raise resources.limits.memory" in death.message


@pytest.mark.parametrize(
    "status",
    [
        {"conditions": [fact("DisruptionTarget", "True", "PreemptionByScheduler")]},
        {"reason": "Evicted", "message": "The node was low on resource: memory."},
    ],
)
def test_what_the_cluster_took_away_is_no_death(status) -> None:
    assert worker([job()], [ended_pod(137, **status)]).deaths == ()


def test_a_pod_that_its_node_turned_away_says_why() -> None:
    turned = pod(phase="Failed", reason="OutOfcpu", message="not enough cpu")
    death = only_death(turned)
    assert death.ending is Ending.CRASHED
    assert "OutOfcpu: not enough cpu" in death.message


def test_deaths_are_counted_over_all_generations_of_a_seat() -> None:
    first, second = workers(), workers(generation=2)
    jobs = [job(first, ended="Failed"), job(second)]
    pods = [
        ended_pod(1, name="late", manifest=second, since=5),
        ended_pod(1, name="early", manifest=first, since=500),
    ]
    view = worker(jobs, pods)
    assert [death.at for death in view.deaths] == [500.0, 995.0]


def test_six_short_lives_in_a_row_give_the_seat_up_with_its_logs_named() -> None:
    pods = [ended_pod(1, name=f"p{n}") for n in range(6)]
    told = standing("the worker", worker([job(ended="Failed")], pods)).given_up
    assert "6 times in a row" in told
    assert "kubectl logs -l assay.dev/seat=infer-" in told


def test_a_controller_that_has_just_begun_takes_no_old_deaths_for_a_row() -> None:
    pods = [ended_pod(1, name=f"p{n}") for n in range(6)]
    first = witnessed(None, pods, 7)
    assert len(set(first.values())) == 6
    later = witnessed(first, [*pods, ended_pod(1, name="new")], 7)
    assert later == first | {"uid-of-new": 7}


def test_what_is_known_of_a_pod_goes_with_it() -> None:
    assert witnessed({"uid-of-gone": 3}, [pod()], 7) == {}


def test_a_scorer_is_found_by_its_task() -> None:
    view = seen([job(SCORER)], [ended_pod(75, manifest=SCORER)]).scorers[TASK]
    assert view.presence is Presence.STARTING
    assert [death.ending for death in view.deaths] == [Ending.MUST_GO]


def test_a_pod_without_a_node_says_what_is_lacking() -> None:
    lacks = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    told = hindrance(
        pod(
            phase="Pending",
            conditions=[fact("PodScheduled", "False", "Unschedulable", lacks)],
        )
    )
    assert f"pod p finds no node: {lacks}" in told


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff"])
def test_an_image_that_cannot_be_had_is_named_with_the_cure(reason) -> None:
    told = hindrance(waiting_pod(reason, "not found"))
    assert "cannot get its image assay/worker:1: not found (mend it" in told


def test_a_container_that_cannot_be_made_says_why() -> None:
    told = hindrance(waiting_pod("CreateContainerConfigError", 'secret "s" not found'))
    assert 'cannot start container worker: secret "s" not found' in told


def test_a_missing_secret_is_named_once_the_pod_has_waited_for_it() -> None:
    def told(since):
        conditions = [
            fact("PodScheduled", "True", since=since),
            fact("PodReadyToStartContainers", "False"),
        ]
        return seen([job()], [waiting_pod("ContainerCreating", conditions=conditions)])

    assert told(5).hindrances == ()
    (sentence,) = told(90).hindrances
    assert (
        "Secret demo-assay-tls has ca.crt and Secret demo-keys has model.0" in sentence
    )


def test_a_job_that_is_refused_its_pods_is_named() -> None:
    told = hindrance(startTime=ago(60))
    assert "gets no pod (see its events" in told


def test_a_job_in_a_queue_is_said_to_wait_there() -> None:
    queued = workers(
        suspend=True, placement={"queue": {"name": "g", "priorityClass": ""}}
    )
    (told,) = seen([job(queued)], []).hindrances
    assert told.endswith("waits in queue g")


def test_seats_that_were_given_up_are_told() -> None:
    assert "seats 1,3-4" in hindrance(failedIndexes="1,3-4", active=2)


def test_a_seat_is_lost_once_all_its_pods_are_on_nodes_that_do_not_answer() -> None:
    late, going = pod(name="a", gone_by=ago(90)), pod(name="b", gone_by=ago(-20))
    there = seen([job()], [late])
    assert len(there.lost) == 1
    assert "its node does not answer" in there.hindrances[0]
    assert seen([job()], [late, pod(name="c")]).lost == frozenset()
    assert seen([job()], [going]).lost == frozenset()


def test_a_healthy_run_has_nothing_in_its_way() -> None:
    assert seen([job(active=1, startTime=ago(60))], [pod()]).hindrances == ()
