"""What the aggregator shows Prometheus is what reports and drivers are told."""

from __future__ import annotations

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from assay.aggregator.metrics import GRACE_SECONDS, RunsCollector
from assay.domain.completion import Completion
from assay.domain.errors import UnavailableError
from assay.telemetry.exposition import exposed
from support.aggregator import DATASET, MODEL, TASK, Folder, answer, failure, served
from support.many_runs import SCORED
from support.scraped import one, samples_of, scraped

OF_TASK = {"run": "run-1", "model_name": MODEL, "dataset": DATASET}
OF_QUEUE = {"run": "run-1", "model_name": MODEL, "stage": "infer"}


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path, count=4)


def watching(aggregator, clock=lambda: 0.0):
    registry = CollectorRegistry()
    registry.register(RunsCollector(lambda: [aggregator.book], clock))
    return registry


def states(found):
    kinds = ("pending", "leased", "predicted", "scored", "unscored")
    return [one(found, "assay_samples", state=kind, **OF_TASK) for kind in kinds]


async def test_samples_are_counted_by_what_has_become_of_them(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        await aggregator.worker().lease(2, 0)
        await aggregator.worker().extend([], None)
        registry = watching(aggregator)
        before = states(scraped(registry))
        await aggregator.worker().commit(TASK, [answer(0), failure(1)])
        after = scraped(registry)
    assert (before, states(after)) == ([2, 2, 0, 0, 0], [2, 0, 1, 0, 1])
    assert one(after, "assay_samples_unscored", reason="timeout", **OF_TASK) == 1


async def test_what_records_cost_is_counted_with_their_seconds(folder):
    cost = {"attempts": 3, "latency": 0.3, "prompt_tokens": 7, "completion_tokens": 2}
    said = Completion(ordinal=0, text="A", **cost)
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        registry = watching(aggregator)
        await aggregator.worker().commit(TASK, [said, failure(1)])
        found = scraped(registry)
    asked = {**OF_TASK, "stage": "infer"}
    assert one(found, "assay_completions_total", result="answered", **asked) == 1
    assert one(found, "assay_completions_total", result="timeout", **asked) == 1
    assert one(found, "assay_requests_total", **asked) == 4
    assert one(found, "assay_tokens_total", kind="prompt", **asked) == 7
    assert one(found, "assay_request_seconds_bucket", le="0.25", **asked) == 1
    assert one(found, "assay_request_seconds_bucket", le="0.5", **asked) == 2


async def test_a_queue_ages_while_work_waits_and_nothing_comes_in(folder):
    now = [0.0]
    async with served(folder, clock=lambda: now[0]) as aggregator:
        await aggregator.begin(folder)
        registry = watching(aggregator)
        scraped(registry)
        now[0] = 40.0
        waited = scraped(registry)
        await aggregator.worker().commit(TASK, [answer(0)])
        moved = scraped(registry)
    ages = [one(f, "assay_queue_age_seconds", **OF_QUEUE) for f in (waited, moved)]
    assert ages == [40.0, 0.0]
    assert one(moved, "assay_queue_open", **OF_QUEUE) == 3


async def test_a_lease_whose_worker_fell_silent_counts_as_expired(folder):
    now = [0.0]
    async with served(folder, clock=lambda: now[0]) as aggregator:
        await aggregator.begin(folder)
        await aggregator.worker().lease(2, 0)
        now[0] = 31.0
        await aggregator.worker("another").lease(1, 0)
        found = scraped(watching(aggregator))
    assert one(found, "assay_leases_issued_total", **OF_QUEUE) == 2
    assert one(found, "assay_leases_expired_total", **OF_QUEUE) == 1


async def test_the_series_of_a_run_go_some_time_after_its_end(folder):
    now = [0.0]
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        await aggregator.worker().commit(TASK, [answer(n) for n in range(4)])
        await aggregator.score(SCORED)
        await aggregator.run.finish("")
        registry = watching(aggregator, lambda: now[0])
        ended = scraped(registry)
        now[0] = GRACE_SECONDS + 1
        later = scraped(registry)
    assert one(ended, "assay_run_state", run="run-1", state="complete") == 1
    assert one(ended, "assay_coverage_ratio", **OF_TASK) == 1.0
    assert not [name for name, _ in later if name.startswith("assay_")]


async def test_the_page_is_served_over_http(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        async with exposed(watching(aggregator), "127.0.0.1:0") as address:
            timeout = aiohttp.ClientTimeout(total=10)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"http://{address}/metrics") as reply,
            ):
                found = samples_of(await reply.text())
    assert one(found, "assay_run_state", run="run-1", state="running") == 1


async def test_an_address_that_is_taken_is_said(folder):
    registry = CollectorRegistry()
    async with exposed(registry, "127.0.0.1:0") as address:
        with pytest.raises(UnavailableError, match=address):
            async with exposed(registry, address):
                pass
