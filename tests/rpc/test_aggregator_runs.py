"""One aggregator over many runs: each keeps to itself, and comes back from the store by being asked about."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from assay.aggregator.means import Means
from assay.aggregator.runs import Runs
from assay.aggregator.servicer import registrations
from assay.domain.errors import ConfigError, NotFoundError
from assay.rpc.callers import SharedToken
from assay.rpc.channel import open_channel
from assay.rpc.server import serve
from assay.store import keys
from assay.store.folder import FolderStore
from assay.store.leadership import FlockLock, this_process
from support.aggregator import DATASET, TASK, TOKEN, Clients, Folder, a_run, answer


class Shelf:
    """A bucket's worth of runs: each run's keys in a folder store of its own."""

    def __init__(self, folder):
        self._folder = folder
        self._stores = {}

    def _store(self, key):
        run_id = key.split("/")[1] if key.startswith("runs/") else ""
        where = self._folder.path / f"run-of-{run_id}"
        made = FolderStore(self._folder.cache, where)
        return self._stores.setdefault(run_id, made)

    def __getattr__(self, name):
        return lambda key, *rest: getattr(self._store(key), name)(key, *rest)


@asynccontextmanager
async def served(folder):
    """An aggregator of all runs of a shelf, in this process."""
    lock = FlockLock(folder.path / "lock", this_process())
    lock.acquire()
    shelf = Shelf(folder)
    with ThreadPoolExecutor(4, thread_name_prefix="store") as executor:
        runs = Runs(
            lambda run_id: Means(
                run_id=run_id,
                store=shelf,
                leadership=lock,
                executor=executor,
                holder="a test",
                spool=folder.path,
                lease_seconds=30.0,
            )
        )
        server = await serve(
            registrations(runs), listen="127.0.0.1:0", authenticator=SharedToken(TOKEN)
        )
        async with open_channel(server.address, TOKEN) as channel:
            yield Clients(channel), shelf
        await runs.stop()
        await server.stop(0)
    lock.release()


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
    async with served(folder) as (clients, _):
        await begin(clients, folder, "one", "two")
        for run_id, count in (("one", 4), ("two", 2)):
            worker = clients.worker(run_id=run_id)
            await worker.lease(4, 0)
            await worker.commit(TASK, [answer(n) for n in range(count)])
        assert [await answered(clients, r) for r in ("one", "two")] == [4, 2]


async def test_a_worker_that_knows_its_run_needs_nobody_to_open_it_again(folder):
    async with served(folder) as (clients, _):
        await begin(clients, folder, "one")
        worker = clients.worker(run_id="one")
        await worker.lease(4, 0)
        await worker.commit(TASK, [answer(0)])
    async with served(folder) as (clients, _):
        await clients.worker(run_id="one").commit(TASK, [answer(1)])
        assert await answered(clients, "one") == 2


async def test_callers_that_come_together_share_one_take_over(folder):
    async with served(folder) as (clients, _):
        await begin(clients, folder, "one")
    async with served(folder) as (clients, shelf):
        await asyncio.gather(*(answered(clients, "one") for _ in range(8)))
        assert len(list(shelf.list(keys.epochs("one")))) == 2


@pytest.mark.parametrize("run_id", ["never", "../one", "", "a/b", "x" * 300])
async def test_a_run_that_was_never_opened_is_not_found_and_costs_nothing(
    folder, run_id
):
    async with served(folder) as (clients, _):
        await begin(clients, folder, "one")
        with pytest.raises(NotFoundError, match="never opened"):
            await clients.client(run_id).get()


@pytest.mark.parametrize("run_id", ["../one", "", "a/b", ".hidden", "x" * 300])
async def test_an_id_that_cannot_be_a_files_name_is_refused(folder, run_id):
    async with served(folder) as (clients, _):
        with pytest.raises(ConfigError, match="cannot stand in file names"):
            await clients.client(run_id).open(a_run())
