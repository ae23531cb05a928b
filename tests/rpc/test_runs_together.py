"""Runs share one aggregator: none starves another, and ended ones take no more room than there is."""

import asyncio
import threading

import pytest

from assay.domain.errors import UnavailableError
from assay.domain.report import RunState
from assay.store import keys
from support.aggregator import Folder, a_run, answer
from support.many_runs import fleet

NAMES = ("a", "b", "c", "d")


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path, count=4)


class Gated:
    """A store whose segments are read only once the gate is open."""

    def __init__(self, inner):
        self.inner = inner
        self.gate = threading.Event()

    def get(self, key):
        if key.endswith(".seg"):
            assert self.gate.wait(60)
        return self.inner.get(key)

    def __getattr__(self, name):
        return getattr(self.inner, name)


async def epochs(runs, run_id):
    return len(list(runs.store.list(keys.epochs(run_id))))


async def test_runs_that_are_read_from_the_store_leave_threads_for_the_others(folder):
    async with fleet(folder) as runs:
        for name in NAMES:
            await runs.start(folder, name)
            await runs.answer(name, answer(0))
    async with fleet(folder, wrap=Gated) as runs:
        looking = [asyncio.create_task(runs.client(name).get()) for name in NAMES]
        await runs.start(folder, "present")
        await runs.answer("present", *map(answer, range(4)))
        assert (await runs.task_of("present")).counts.predicted == 4
        runs.store.gate.set()
        views = await asyncio.gather(*looking)
    assert [view.tasks[0].counts.predicted for view in views] == [1] * 4


async def test_two_runs_at_once_are_given_work_in_turns(folder):
    async with fleet(folder) as runs:
        for name in ("a", "b"):
            await runs.start(folder, name)
        for ordinal in range(4):
            for name in ("a", "b"):
                worker = runs.worker(run_id=name)
                grant = await worker.lease(1, 0)
                (lease,) = grant.leases
                assert [s.ordinal for s in lease.samples] == [ordinal]
                await runs.answer(name, answer(ordinal))


async def ended(runs, folder, *names):
    for name in names:
        await runs.start(folder, name)
        await runs.client(name).cancel()


async def test_ended_runs_beyond_what_is_kept_are_let_go_and_come_back(folder):
    async with fleet(folder, resting=8) as runs:
        await ended(runs, folder, *NAMES)
        assert [await epochs(runs, name) for name in NAMES] == [1] * 4
        views = [await runs.client(name).get() for name in NAMES]
        assert {view.state for view in views} == {RunState.CANCELLED}
        assert await epochs(runs, "a") == 2


async def test_runs_that_go_on_are_never_let_go(folder):
    async with fleet(folder, resting=0) as runs:
        for name in NAMES:
            await runs.start(folder, name)
        for name in NAMES:
            await runs.client(name).get()
        assert [await epochs(runs, name) for name in NAMES] == [1] * 4


async def test_a_run_that_another_goes_on_from_is_not_let_go(folder):
    async with fleet(folder, resting=0) as runs:
        await ended(runs, folder, "a")
        other = a_run(coverage_threshold=0.5)
        await runs.start(folder, "b", other, adopts=["a"])
        await ended(runs, folder, "c", "d")
        await runs.answer("a", answer(2))
        assert (await runs.task_of("b")).adopted == 1


async def test_who_watches_a_run_that_is_let_go_hears_its_end_once(folder):
    async with fleet(folder, resting=0) as runs:
        await ended(runs, folder, "a")
        views = [view async for view in runs.client("a").watch(0.01)]
        await ended(runs, folder, "b")
    assert [view.state for view in views] == [RunState.CANCELLED]


async def test_what_is_acknowledged_while_a_run_is_let_go_is_kept(folder):
    async with fleet(folder, resting=0) as runs:
        await ended(runs, folder, "a", "b")
        for ordinal in range(4):
            said = asyncio.create_task(until_kept(runs, answer(ordinal)))
            await runs.client("b").get()
            await said
        assert (await runs.task_of("a")).counts.predicted == 4


async def until_kept(runs, completion):
    while True:
        try:
            return await runs.answer("a", completion)
        except UnavailableError:
            await asyncio.sleep(0.01)
