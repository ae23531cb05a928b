"""The controller's process among real servers: EvalRuns come to their end, whatever happens to it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from support.api_server import ApiServer
from support.binaries import MissingError, binary
from support.controller_place import (
    LEASE_SECONDS,
    Place,
    cluster_without_nodes,
    place,
)
from support.stub_endpoint import StubEndpoint

COUNT = 40


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
        yield running


async def test_a_controller_that_is_killed_again_and_again_makes_nothing_twice(
    there, endpoint
) -> None:
    seen: set[str] = set()
    there.submit(endpoint.url)
    for _ in range(5):
        running = await there.controller()
        await there.until(lambda: moved(there, seen))
        await running.kill()
    await there.controller()
    await there.complete()
    moved(there, seen)
    jobs = sorted(name.split("-", 2)[2] for name in seen if "-" in name)
    assert [job.split("-")[0] for job in jobs] == ["infer", "scorer"]
    assert [job[-2:] for job in jobs] == ["-1", "-1"]
    assert sum(endpoint.asked.values()) == COUNT


def moved(there: Place, seen: set[str]) -> bool:
    """Whether there is a Job or a state that was not there before, or nothing more to come."""
    state = there.run().status.get("state", "")
    now = {*there.jobs(), state}
    news = now - seen
    seen |= now
    return bool(news) or state == "Complete"


async def test_an_evalrun_comes_to_its_end_and_every_sample_is_asked_once(
    there, endpoint
) -> None:
    await there.controller()
    there.submit(endpoint.url)
    await there.complete()
    told = there.run().status
    assert told["state"] == "Complete"
    assert told["progress"] == f"{COUNT}/{COUNT}"
    assert told["store"].endswith(f"/runs/{told['runId']}")
    assert sum(endpoint.asked.values()) == COUNT


async def test_of_two_controllers_the_one_with_the_lease_writes_and_the_other_follows(
    there, endpoint
) -> None:
    first = await there.controller()
    await there.until(lambda: bool(there.calls("create")))
    holder = there.holder()
    await there.controller()
    there.submit(endpoint.url)
    await there.until(lambda: len(there.jobs()) > 0)
    assert there.holder() == holder
    assert await first.stop() == 0
    await there.until(lambda: there.holder() not in {"", holder})
    await there.complete()
    assert sum(endpoint.asked.values()) == COUNT


async def test_an_idle_controller_asks_less_than_once_a_second_and_a_run_costs_few_writes(
    there, endpoint
) -> None:
    await there.controller(lease_seconds=15)
    there.submit(endpoint.url)
    await there.complete()
    writes = [c for c in there.calls("create", "patch", "delete") if not of_lease(c)]
    assert len(writes) < COUNT
    await there.until(lambda: not there.running())
    before = len(there.calls())
    await asyncio.sleep(10)
    assert len(there.calls()) - before <= 10


def of_lease(call) -> bool:
    return call["objectRef"]["resource"] == "leases"


async def test_a_refused_evalrun_says_path_reason_and_cure_and_runs_nothing(
    there, endpoint
) -> None:
    await there.controller()
    there.submit(endpoint.url, file={"nprocs": 3})
    await there.until(lambda: there.condition("Accepted")[0] == "False")
    told = {c["type"]: c["message"] for c in there.run().status["conditions"]}
    assert "spec.file.eval_config.nprocs" in told["Accepted"]
    assert there.condition("Failed") == ("True", "InvalidSpec")
    assert there.jobs() == {}
    there.submit(endpoint.url)
    await there.until(lambda: there.condition("Accepted")[0] == "True")


async def test_another_spec_takes_over_what_was_answered_and_the_first_may_come_back(
    there, endpoint
) -> None:
    await there.controller()
    there.submit(endpoint.url)
    await there.complete()
    first = there.run().status["runId"]
    there.submit(endpoint.url, file={"limit": 10})
    await there.until(lambda: there.run().status["runId"] != first)
    await there.complete()
    there.submit(endpoint.url)
    await there.until(lambda: there.run().status["runId"] == first)
    await there.complete()
    told = there.run().status
    assert there.condition("Complete") == ("True", "AlreadyComplete")
    assert [e["state"] for e in told["executions"]] == ["Complete", "Complete"]
    assert told["progress"] == f"{COUNT}/{COUNT}"


async def test_a_suspended_run_has_no_pods_until_it_may_go_on(there, endpoint) -> None:
    endpoint.delay = 0.3
    await there.controller()
    there.submit(endpoint.url)
    await there.until(lambda: len(there.kubelet.running) > 0)
    there.submit(endpoint.url, suspend=True)
    await there.until(lambda: there.condition("Suspended")[0] == "True")
    await there.until(lambda: not there.kubelet.running)
    there.submit(endpoint.url, suspend=False)
    await there.until(lambda: len(there.kubelet.running) > 0)
    await there.until(lambda: {"Suspended", "Resumed"} <= set(there.events()))
    assert len(there.jobs()) == 1


async def test_samples_that_are_asked_again_get_new_pods_and_the_run_its_score(
    there, endpoint
) -> None:
    endpoint.status = lambda sample: 400 if sample == 3 else 200
    await there.controller()
    there.submit(endpoint.url)
    await there.until(
        lambda: there.condition("Complete") == ("False", "CoverageBelowThreshold")
    )
    endpoint.status = lambda _: 200
    client = await there.client(there.run().status["runId"])
    await client.retry()
    await there.complete()
    told = there.run().status
    assert (told["state"], told["tasks"][0]["scored"]) == ("Complete", COUNT)
    assert endpoint.asked[3] == 2


async def test_a_cancelled_run_ends_its_pods_and_stays_cancelled(
    there, endpoint
) -> None:
    endpoint.delay = 0.3
    await there.controller()
    there.submit(endpoint.url)
    await there.until(lambda: len(there.kubelet.running) > 0)
    client = await there.client(there.run().status["runId"])
    await client.cancel()
    await there.until(lambda: there.condition("Failed") == ("True", "Cancelled"))
    # A worker that hears of it first ends its Job by itself, which then stays with its logs.
    await there.until(lambda: not there.running() and not there.kubelet.running)
    assert there.run().status["state"] == "Cancelled"


async def test_a_deleted_evalrun_takes_its_pods_with_it_and_its_answers_stay(
    there, endpoint
) -> None:
    endpoint.delay = 0.3
    await there.controller()
    there.submit(endpoint.url)
    await there.until(lambda: there.answered() > 0)
    there.delete()
    await there.until(lambda: not there.jobs() and not there.kubelet.running)
    endpoint.delay = 0.0
    there.submit(endpoint.url)
    await there.complete()
    assert sum(endpoint.answered.values()) < 2 * COUNT


async def test_several_runs_go_on_side_by_side_and_an_api_server_that_was_away(
    there, endpoint
) -> None:
    await there.controller()
    for name in ("one", "two"):
        there.submit(endpoint.url, name=name, ttlSecondsAfterFinished=0)
    await there.until(lambda: len(there.jobs()) >= 2)
    there.server.kill()
    await asyncio.sleep(LEASE_SECONDS)
    await asyncio.to_thread(there.server.start)
    await there.complete("one")
    await there.complete("two")
    assert sum(endpoint.asked.values()) == 2 * COUNT
