"""One aggregator of any number of runs over a folder per run, and what tests of executions do with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc

from assay.aggregator.means import Means
from assay.aggregator.runs import RESTING_SAMPLES, Runs
from assay.aggregator.servicer import registrations
from assay.domain.completion import Completion
from assay.domain.run import Run
from assay.domain.score import Metric
from assay.domain.snapshot import RunSnapshot, TaskSnapshot
from assay.rpc.callers import SharedToken
from assay.rpc.channel import open_channel
from assay.rpc.run_results_client import RunResultsClient
from assay.rpc.score_client import ScoreClient, ScoreOutcome
from assay.rpc.server import serve
from assay.store.folder import FolderStore
from assay.store.leadership import FlockLock, this_process
from support.aggregator import DATASET, TASK, TOKEN, Clients, Folder, a_run

METRIC = Metric(name="Overall", split="none", value=75.0, scale=(0.0, 100.0), n=4)
SCORED = ScoreOutcome(scored=4, unscored=0, metrics=[METRIC])


class Shelf:
    """A bucket's worth of runs: each run's keys in a folder store of its own."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._stores: dict[str, FolderStore] = {}

    def of(self, run_id: str) -> FolderStore:
        """The store of one run; of none: of datasets."""
        where = self._folder.path / f"run-of-{run_id}"
        made = FolderStore(self._folder.cache, where)
        return self._stores.setdefault(run_id, made)

    def folders(self, prefix: str, after: str = "") -> Iterator[str]:
        assert prefix == "runs/"
        found = self._folder.path.glob("run-of-?*")
        ordered = sorted(f"{path.name.removeprefix('run-of-')}/" for path in found)
        yield from (name[:-1] for name in ordered if not after or name > f"{after}/")

    def __getattr__(self, name: str) -> Any:
        def call(key: str, *rest: Any) -> Any:
            run_id = key.split("/")[1] if key.startswith("runs/") else ""
            return getattr(self.of(run_id), name)(key, *rest)

        return call


class Fleet(Clients):
    """Calls about any run of an aggregator."""

    def __init__(self, channel: grpc.aio.Channel, store: Any) -> None:
        super().__init__(channel)
        self.store = store
        self.results = RunResultsClient(channel)
        self.channel = channel
        self.address = ""

    async def start(
        self, folder: Folder, run_id: str, run: Run | None = None, **how: Any
    ) -> RunSnapshot:
        """Opens a run and attaches its dataset."""
        client = self.client(run_id)
        await client.open(run or a_run(), **how)
        return await client.attach_dataset(DATASET, models=(), digest=folder.digest)

    async def answer(self, run_id: str, *completions: Completion) -> None:
        """Hands answers in as a worker of the run."""
        await self.worker(run_id=run_id).commit(TASK, list(completions))

    async def leased(self, run_id: str, worker: str = "w") -> list[int]:
        """Samples that a worker of the run, which holds none, is given at once."""
        asking = self.worker(worker, run_id=run_id)
        await asking.extend([], None)
        grant = await asking.lease(100, 0)
        return [s.ordinal for lease in grant.leases for s in lease.samples]

    async def score(
        self, run_id: str, outcome: ScoreOutcome = SCORED
    ) -> dict[int, Any]:
        """Scores the run's task; returns the predictions that came down."""
        scorer = ScoreClient(self.channel, run_id=run_id, task=TASK)
        async with scorer.claim(timeout=30) as session:
            await session.head()
            inputs = [item async for item in session.inputs()]
            await session.send_file("samples.parquet", [b"rows"])
            await session.send_file("upstream/m_Tiny_acc.csv", [b"acc\n75\n"])
            await session.finish(outcome)
        return {
            each.ordinal: each.completion.text
            for each in inputs
            if not isinstance(each, bytes)
        }

    async def task_of(self, run_id: str) -> TaskSnapshot:
        """The run's only task."""
        (task,) = (await self.client(run_id).get()).tasks
        return task

    async def file(self, run_id: str, path: str, **how: Any) -> bytes:
        """A file of the run's result, as it comes."""
        pieces = [p async for p in self.results.fetch(run_id, path, **how)]
        return b"".join(p for p in pieces if isinstance(p, bytes))


def asked_at(run: Run, api_base: str) -> Run:
    """The run with its models asked elsewhere."""
    models = tuple(
        replace(model, endpoint=replace(model.endpoint, api_base=api_base))
        for model in run.models
    )
    return replace(run, models=models)


@asynccontextmanager
async def fleet(
    folder: Folder,
    store: Any = None,
    *,
    wrap: Callable[[Any], Any] = lambda store: store,
    resting: int = RESTING_SAMPLES,
    **changes: Any,
) -> AsyncIterator[Fleet]:
    """An aggregator of all runs, in this process; one after the other on one store."""
    lock = FlockLock(folder.path / "lock", this_process())
    lock.acquire()
    shelf = wrap(store or Shelf(folder))
    with ThreadPoolExecutor(4, thread_name_prefix="store") as executor:

        def means(run_id: str) -> Means:
            return Means(
                **{
                    "run_id": run_id,
                    "store": shelf,
                    "leadership": lock,
                    "executor": executor,
                    "holder": "a test",
                    "spool": folder.path,
                    "lease_seconds": 30.0,
                    **changes,
                }
            )

        runs = Runs(means, resting=resting)
        server = await serve(
            registrations(runs), listen="127.0.0.1:0", authenticator=SharedToken(TOKEN)
        )
        async with open_channel(server.address, TOKEN) as channel:
            made = Fleet(channel, shelf)
            made.address = server.address
            yield made
        await runs.stop()
        await server.stop(0)
    lock.release()
