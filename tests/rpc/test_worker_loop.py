"""The lease loop against a real WorkService and a real endpoint, through what may befall either."""

from dataclasses import replace

import pytest

from assay.domain.errors import (
    StoreFullError,
    UnauthenticatedError,
    UnavailableError,
)
from assay.domain.task import TaskId
from support.chat_endpoint import chat_endpoint
from support.work_fake import TASK, Work, question, serve_work
from support.worker_setup import QUICK, worker


async def test_every_sample_is_asked_once_and_its_answer_committed_once() -> None:
    work = Work.of(100)
    async with chat_endpoint() as endpoint, worker(work, endpoint) as stage:
        await stage.ended()
    assert {c.text for c in work.committed.values()} == {
        f"answer to question {n}" for n in range(100)
    }
    assert set(endpoint.asked.values()) == {1}
    assert set(work.commits.values()) == {1}


async def test_no_more_than_the_granted_number_of_requests_is_in_flight() -> None:
    work = Work.of(40, limit=3)
    async with chat_endpoint() as endpoint, worker(work, endpoint) as stage:
        endpoint.delay = 0.01
        await stage.ended()
    assert endpoint.most_in_flight == 3
    assert len(endpoint.connections) == 3


async def test_completions_say_what_the_endpoint_counted() -> None:
    work = Work.of(1)
    async with chat_endpoint() as endpoint, worker(work, endpoint) as stage:
        await stage.ended()
    done = work.committed[TASK, 0]
    assert (done.finish_reason, done.prompt_tokens, done.completion_tokens) == (
        "stop",
        7,
        1,
    )
    assert done.attempts == 1
    assert done.latency > 0


async def test_a_lost_acknowledgement_is_committed_again_and_asked_once() -> None:
    work = Work.of(20, lose_acks=2)
    async with chat_endpoint() as endpoint, worker(work, endpoint) as stage:
        await stage.ended()
    assert set(endpoint.asked.values()) == {1}
    assert len(work.committed) == 20
    assert max(work.commits.values()) > 1


async def test_a_restarted_aggregator_is_told_of_the_leases_before_more_are_asked_for() -> (
    None
):
    work = Work.of(200)
    async with chat_endpoint() as endpoint, worker(work, endpoint) as stage:
        endpoint.delay = 0.02
        await work.until(lambda: len(work.committed) > 20)
        work.calls.clear()
        await stage.restart()
        await stage.ended()
    assert work.calls.index("extend") < work.calls.index("lease")
    assert len(work.committed) == 200
    assert set(endpoint.asked.values()) == {1}


async def test_the_worker_goes_on_with_what_it_holds_while_the_aggregator_is_away() -> (
    None
):
    work = Work.of(30)
    async with chat_endpoint() as endpoint, worker(work, endpoint) as stage:
        endpoint.delay = 0.02
        await work.until(lambda: len(work.leased) > 10)
        held = len(work.leased) + len(work.committed)
        await stage.server.stop(0)
        await work.until(lambda: endpoint.asked.total() >= held)
        stage.server = await serve_work(work, stage.server.address)
        await stage.ended()
    assert len(work.committed) == 30
    assert set(endpoint.asked.values()) == {1}


async def test_without_an_aggregator_the_worker_goes_when_patience_ends() -> None:
    work = Work.of(10)
    impatient = replace(QUICK, patience=0.2)
    async with (
        chat_endpoint() as endpoint,
        worker(work, endpoint, timing=impatient) as stage,
    ):
        endpoint.delay = 0.05
        await work.until(lambda: endpoint.asked.total() > 0)
        await stage.server.stop(0)
        with pytest.raises(UnavailableError, match="no answer of the aggregator"):
            await stage.ended()


async def test_a_full_store_costs_no_answer() -> None:
    work = Work.of(10, fail_commits=StoreFullError("no space left in /store"))
    async with chat_endpoint() as endpoint, worker(work, endpoint) as stage:
        await work.until(lambda: endpoint.asked.total() == 10)
        work.fail_commits = None
        await stage.ended()
    assert len(work.committed) == 10
    assert set(endpoint.asked.values()) == {1}


async def test_drained_by_the_aggregator_it_finishes_what_it_holds() -> None:
    work = Work.of(300)
    timing = replace(QUICK, ahead=0.1)
    async with (
        chat_endpoint() as endpoint,
        worker(work, endpoint, timing=timing) as stage,
    ):
        endpoint.delay = 0.01
        await work.until(lambda: len(work.committed) > 3)
        work.state = "DRAIN"
        await stage.ended()
    assert work.leased == {}
    assert 3 < len(work.committed) < 300
    assert endpoint.asked.total() == len(work.committed)


async def test_a_drain_lets_requests_land_commits_them_and_gives_the_rest_back() -> (
    None
):
    work = Work.of(100)
    async with chat_endpoint() as endpoint, worker(work, endpoint) as stage:
        endpoint.delay = 0.1
        await work.until(lambda: endpoint.in_flight == 4)
        stage.loop.drain()
        await stage.ended()
    assert endpoint.asked.total() == len(work.committed)
    assert work.released
    assert work.leased == {}


async def test_a_drain_waits_for_slow_requests_no_longer_than_its_grace() -> None:
    work = Work.of(4)
    async with (
        chat_endpoint() as endpoint,
        worker(work, endpoint, drain_seconds=0.05) as stage,
    ):
        endpoint.delay = 60.0
        await work.until(lambda: endpoint.in_flight == 4)
        stage.loop.drain()
        await stage.ended(10)
    assert work.committed == {}
    assert work.leased == {}


async def test_of_a_lost_lease_only_what_is_in_flight_is_finished() -> None:
    work = Work.of(16, limit=2, lease_seconds=0.15)
    async with chat_endpoint() as endpoint, worker(work, endpoint) as stage:
        endpoint.delay = 0.4
        await work.until(lambda: endpoint.in_flight == 2)
        work.forget_leases, work.state = True, "DRAIN"
        await stage.ended()
    assert endpoint.asked.total() == len(work.committed) == 2


async def test_a_closed_queue_and_nothing_held_ends_the_worker() -> None:
    work = Work.of(0)
    async with chat_endpoint() as endpoint, worker(work, endpoint) as stage:
        await stage.ended(10)
    assert not endpoint.asked


async def test_what_is_not_asked_when_the_queue_closes_is_left_and_the_rest_is_handed_in() -> (
    None
):
    work = Work.of(16, limit=2, lease_seconds=0.15)
    async with chat_endpoint() as endpoint, worker(work, endpoint) as stage:
        endpoint.delay = 0.4
        await work.until(lambda: endpoint.in_flight == 2)
        work.state = "CLOSED"
        await stage.ended()
    assert endpoint.asked.total() == len(work.committed) == 2
    assert stage.loop.finished


async def test_a_worker_without_the_right_token_stops_at_once() -> None:
    work = Work.of(3)
    async with chat_endpoint() as endpoint, worker(work, endpoint, token="x") as stage:
        with pytest.raises(UnauthenticatedError):
            await stage.ended(10)


async def test_a_commit_holds_completions_of_one_task_only() -> None:
    other = TaskId("m", "E")
    work = Work({(task, n): question(n) for task in (TASK, other) for n in range(40)})
    async with chat_endpoint() as endpoint, worker(work, endpoint) as stage:
        await stage.ended()
    assert len(work.committed) == 80
    assert set(endpoint.asked.values()) == {2}
