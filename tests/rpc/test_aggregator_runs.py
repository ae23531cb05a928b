"""One aggregator over many runs: each keeps to itself, and comes back from the store by being asked about."""

from __future__ import annotations

import asyncio

import pytest

from assay.domain.errors import ConfigError, NotFoundError
from assay.store import keys
from support.aggregator import DATASET, TASK, Folder, a_run, answer
from support.many_runs import fleet


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path, count=4)


async def begin(clients, folder, *run_ids):
    for run_id in run_ids:
        client = clients.client(run_id)
        await client.open(a_run())
        await client.attach_dataset(DATASET, models=(), digest=folder.digest)


async def answered(clients, run_id):
    (task,) = (await clients.client(run_id).get()).tasks
    return task.counts.predicted


async def test_runs_of_one_aggregator_share_no_samples(folder):
    async with fleet(folder) as clients:
        await begin(clients, folder, "one", "two")
        for run_id, count in (("one", 4), ("two", 2)):
            worker = clients.worker(run_id=run_id)
            await worker.lease(4, 0)
            await worker.commit(TASK, [answer(n) for n in range(count)])
        assert [await answered(clients, r) for r in ("one", "two")] == [4, 2]


async def test_a_worker_that_knows_its_run_needs_nobody_to_open_it_again(folder):
    async with fleet(folder) as clients:
        await begin(clients, folder, "one")
        worker = clients.worker(run_id="one")
        await worker.lease(4, 0)
        await worker.commit(TASK, [answer(0)])
    async with fleet(folder) as clients:
        await clients.worker(run_id="one").commit(TASK, [answer(1)])
        assert await answered(clients, "one") == 2


async def test_callers_that_come_together_share_one_take_over(folder):
    async with fleet(folder) as clients:
        await begin(clients, folder, "one")
    async with fleet(folder) as clients:
        await asyncio.gather(*(answered(clients, "one") for _ in range(8)))
        assert len(list(clients.store.list(keys.epochs("one")))) == 2


@pytest.mark.parametrize("run_id", ["never", "../one", "", "a/b", "x" * 300])
async def test_a_run_that_was_never_opened_is_not_found_and_costs_nothing(
    folder, run_id
):
    async with fleet(folder) as clients:
        await begin(clients, folder, "one")
        with pytest.raises(NotFoundError, match="never opened"):
            await clients.client(run_id).get()


@pytest.mark.parametrize("run_id", ["../one", "", "a/b", ".hidden", "x" * 300])
async def test_an_id_that_cannot_be_a_files_name_is_refused(folder, run_id):
    async with fleet(folder) as clients:
        with pytest.raises(ConfigError, match="cannot stand in file names"):
            await clients.client(run_id).open(a_run())
