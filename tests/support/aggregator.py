"""A real aggregator served in this process over a folder, and clients to it, for tests of its calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from assay.aggregator.means import Means
from assay.aggregator.runbook import RunBook
from assay.aggregator.runs import Runs
from assay.aggregator.servicer import registrations
from assay.domain.completion import Completion, Failure
from assay.domain.run import Dataset, Endpoint, Model, Run
from assay.domain.sample import UnscoredReason
from assay.domain.snapshot import TaskSnapshot
from assay.domain.task import TaskId
from assay.rpc.callers import SharedToken
from assay.rpc.channel import open_channel
from assay.rpc.run_client import RunClient
from assay.rpc.score_client import ScoreClient, ScoreHead, ScoreOutcome, ScoreSession
from assay.rpc.server import serve
from assay.rpc.work_client import WorkClient
from assay.store import keys
from assay.store.folder import FolderStore
from assay.store.leadership import FlockLock, this_process
from assay.store.objects import ObjectStore
from assay.store.segments import decode_segment
from support.prepared import put_prepared

TOKEN = "aggregator-test-token"
RUN = "run-1"
MODEL = "m"
DATASET = "Tiny"
TASK = TaskId(MODEL, DATASET)


def a_run(**changes: Any) -> Run:
    """A run of one model on one dataset."""
    endpoint = Endpoint(api_base="http://127.0.0.1:9/v1/chat/completions")
    model = Model(
        key=MODEL, kind="CustomAPIModel", served_name="a-model", endpoint=endpoint
    )
    return Run(**{"models": (model,), "datasets": (Dataset(name=DATASET),), **changes})


def answer(ordinal: int, text: str = "A") -> Completion:
    return Completion(ordinal=ordinal, text=text, finish_reason="stop")


def failure(ordinal: int) -> Completion:
    failed = Failure(reason=UnscoredReason.TIMEOUT, message="no answer in time")
    return Completion(ordinal=ordinal, failure=failed)


class Folder:
    """A run's folder and a cache with one prepared dataset in it."""

    def __init__(
        self,
        path: Path,
        count: int,
        invalid: Mapping[int, str] | None = None,
        **manifest_fields: Any,
    ) -> None:
        self.path = path
        self.cache = path / "cache"
        self.run_dir = path / "run"
        questions = [f"What is number {n}?" for n in range(count)]
        self.digest = put_prepared(
            self.store(),
            path / "prepare",
            questions=questions,
            invalid=invalid,
            **manifest_fields,
        )

    def store(self) -> FolderStore:
        """Another store over the same folders: it knows what the disk knows."""
        return FolderStore(self.cache, self.run_dir)

    def segments(self, epoch: int | None = None) -> list[Path]:
        """Segment files, oldest first."""
        root = self.run_dir / ".assay/tasks" / str(TASK) / "completions"
        wanted = "*" if epoch is None else f"{epoch:08d}"
        return sorted(root.glob(f"{wanted}/*.seg"))

    def records(self) -> list[tuple[int, str | None]]:
        """(ordinal, text) of every record that can be read from the disk."""
        return [
            (placed.record.completion.ordinal, placed.record.completion.text)
            for path in self.segments()
            for placed in decode_segment(path.read_bytes(), path.name).records
        ]


@dataclass
class FaultyStore:
    """A store whose writes of segments fail as `faults` says, one fault per write.

    Attributes:
        after: the write is carried out before it fails: its fate is not known to the caller.
        puts: every write of a segment that was tried: key and bytes.
    """

    inner: ObjectStore
    faults: Iterable[Exception] = ()
    after: bool = False
    matching: str = ".seg"
    puts: list[tuple[str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._faults = iter(self.faults)

    def put(self, key: str, data: bytes) -> None:
        if self.matching not in key:
            self.inner.put(key, data)
            return
        self.puts.append((key, data))
        fault = next(self._faults, None)
        if fault is None or self.after:
            self.inner.put(key, data)
        if fault is not None:
            raise fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Clients:
    """How to talk to an aggregator."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self.run = self.client(RUN)

    def worker(self, name: str = "w", *, run_id: str = RUN) -> WorkClient:
        return WorkClient(self._channel, run_id=run_id, queue=MODEL, worker_id=name)

    def client(self, run_id: str) -> RunClient:
        return RunClient(self._channel, run_id=run_id)

    async def begin(self, folder: Folder, run: Run | None = None) -> None:
        """Opens the run and attaches its dataset."""
        await self.run.open(run or a_run())
        await self.run.attach_dataset(DATASET, models=(), digest=folder.digest)

    async def task(self) -> TaskSnapshot:
        """The only task, as drivers see it."""
        (task,) = (await self.run.get()).tasks
        return task

    async def head(self) -> ScoreHead:
        """What a scorer is told first."""
        scorer = ScoreClient(self._channel, run_id=RUN, task=TASK)
        async with scorer.claim(timeout=30) as session:
            return await session.head()

    async def predictions(self) -> dict[int, str | None]:
        """What a scorer gets: the record that counts for every sample."""
        scorer = ScoreClient(self._channel, run_id=RUN, task=TASK)
        async with scorer.claim(timeout=30) as session:
            await session.head()
            return await _predictions(session)

    async def score(self, outcome: ScoreOutcome) -> dict[int, str | None]:
        """Claims the task, hands `outcome` in; returns the predictions that came down."""
        scorer = ScoreClient(self._channel, run_id=RUN, task=TASK)
        async with scorer.claim(timeout=30) as session:
            await session.head()
            found = await _predictions(session)
            await session.send_file("samples.parquet", [b"rows"])
            await session.finish(outcome)
        return found


async def _predictions(session: ScoreSession) -> dict[int, str | None]:
    inputs = [item async for item in session.inputs()]
    found = [item for item in inputs if not isinstance(item, bytes)]
    return {item.ordinal: item.completion.text for item in found}


class Served(Clients):
    """An aggregator that runs in this process."""

    def __init__(self, channel: grpc.aio.Channel, address: str, book: RunBook) -> None:
        super().__init__(channel)
        self.address = address
        self.book = book


def _spool(folder: Folder) -> Path:
    spool = folder.run_dir / ".assay/spool"
    spool.mkdir(parents=True, exist_ok=True)
    return spool


@asynccontextmanager
async def served(
    folder: Folder,
    *,
    wrap: Callable[[ObjectStore], Any] = lambda store: store,
    **changes: Any,
) -> AsyncIterator[Served]:
    """An aggregator as its main builds it, but in this process; one after the other on one folder."""
    lock = FlockLock(folder.run_dir / ".assay/aggregator.lock", this_process())
    lock.acquire()
    executor = ThreadPoolExecutor(4, thread_name_prefix="store")
    means = partial(
        Means,
        store=wrap(folder.store()),
        leadership=lock,
        executor=executor,
        holder="a test",
        spool=_spool(folder),
        **{"lease_seconds": 30.0, **changes},
    )
    runs = Runs(lambda run_id: means(run_id=run_id), only=RUN)
    book = (await runs.restore()).book
    server = await serve(
        registrations(runs), listen="127.0.0.1:0", authenticator=SharedToken(TOKEN)
    )
    try:
        async with open_channel(server.address, TOKEN) as channel:
            yield Served(channel, server.address, book)
    finally:
        await runs.stop()
        await server.stop(0)
        executor.shutdown()
        lock.release()


def epoch_files(folder: Folder) -> list[str]:
    """Keys of the run's epoch files."""
    return list(folder.store().list(keys.epochs(RUN)))
