"""Judge pods among real servers: they come when there is something to judge, and go when nothing is left."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from support.api_server import ApiServer
from support.binaries import MissingError, binary
from support.controller_place import Place, cluster_without_nodes, place
from support.judge_endpoint import JudgeEndpoint, judge_endpoint
from support.judged_runs import judged_by, vague
from support.stub_endpoint import StubEndpoint

COUNT = 24


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    try:
        for name in ("etcd", "kube-apiserver", "kube-controller-manager"):
            binary(name)
    except MissingError as error:
        pytest.skip(str(error))
    with cluster_without_nodes(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
async def there(server, minio, tmp_path) -> AsyncIterator[Place]:
    store = minio.config(bucket=f"b-{uuid.uuid4().hex[:12]}", create_bucket=True)
    async with place(server, tmp_path, store, count=COUNT) as made:
        yield made


@pytest.fixture
def endpoint() -> Iterator[StubEndpoint]:
    with StubEndpoint() as running:
        running.reply = vague
        yield running


@pytest.fixture
def judge() -> Iterator[JudgeEndpoint]:
    with judge_endpoint() as running:
        yield running


def kinds(there: Place) -> list[str]:
    """What each pod that ever ran was, in order."""
    return [name.split("-")[2] for name in there.kubelet.ran]


async def test_a_judge_is_asked_by_pods_of_its_own_that_go_with_the_last_request(
    there, endpoint, judge
) -> None:
    await there.controller()
    there.submit(endpoint.url, file=judged_by(judge))
    await there.complete()
    assert there.run().status["progress"] == f"{COUNT}/{COUNT}"
    assert sum(judge.bodies.values()) == len(judge.bodies) == COUNT // 3
    assert set(kinds(there)) == {"infer", "judge", "scorer"}
    await there.until(lambda: not there.running())
    assert there.condition("Judging") == ("False", "Ended")


async def test_with_one_gpu_for_both_the_judge_waits_until_the_models_pods_are_gone(
    there, endpoint, judge
) -> None:
    endpoint.delay = 0.3
    seen: list[set[str]] = []

    def look() -> bool:
        seen.append({job.split("-")[2] for job in there.running()})
        return there.condition("Complete")[0] == "True"

    await there.controller()
    phases = {"gpuPhases": "sequential"}
    there.submit(endpoint.url, file=judged_by(judge, nproc=4), placement=phases)
    await there.until(look)
    assert any("judge" in each for each in seen)
    assert not [each for each in seen if {"infer", "judge"} <= each]
    assert sum(judge.bodies.values()) == COUNT // 3


async def test_a_judge_that_is_away_stops_no_inference_and_is_told_of(
    there, endpoint, judge
) -> None:
    judge.refuses = 503
    await there.controller()
    there.submit(endpoint.url, file=judged_by(judge))
    await there.until(
        lambda: there.condition("Judging") == ("False", "JudgeUnusable"), 90
    )
    assert there.answered() == COUNT
    judge.refuses = 0
    await there.complete()
    assert set(judge.bodies.values()) == {1}


async def test_another_judge_asks_the_model_nothing_again(
    there, endpoint, judge
) -> None:
    await there.controller()
    there.submit(endpoint.url, file=judged_by(judge))
    await there.complete()
    asked, first = sum(endpoint.asked.values()), there.run().status["runId"]
    there.submit(endpoint.url, file={**judged_by(judge), "judge": "judge-2"})
    await there.until(lambda: there.run().status["runId"] != first)
    await there.complete()
    assert sum(endpoint.asked.values()) == asked == COUNT
    assert sum(judge.bodies.values()) == 2 * (COUNT // 3)


async def test_an_evalrun_may_have_the_answers_of_another_judged_again(
    there, endpoint, judge
) -> None:
    await there.controller()
    there.submit(endpoint.url, file=judged_by(judge))
    await there.complete()
    asked, first = sum(endpoint.asked.values()), there.run().status["runId"]
    other = {**judged_by(judge), "judge": "judge-2"}
    there.submit(endpoint.url, "again", file=other, answersOf=first)
    await there.complete("again")
    assert sum(endpoint.asked.values()) == asked == COUNT
    assert there.run().status["runId"] == first
    there.submit(endpoint.url, "lost", file=other, answersOf="nobody-12345678")
    await there.until(lambda: there.condition("Failed", "lost")[0] == "True")
    assert sum(endpoint.asked.values()) == COUNT
