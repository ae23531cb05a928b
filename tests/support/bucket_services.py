"""All services of a run as processes of their own over one bucket, as they stand in a cluster."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path

from assay.config import parse, resolve
from assay.domain.run import Run
from assay.domain.task import TaskId
from assay.process.contract import S3StoreConfig, document_of
from assay.rpc.channel import open_channel
from assay.rpc.dataset_client import DatasetClient
from assay.rpc.run_client import RunClient

TOKEN = "bucket-services-test-token"


def run_of(file: Path) -> Run:
    """The run that a user's file asks for."""
    return resolve(
        parse(json.loads(file.read_text())),
        environ={},
        lmu_data=(),
        base_dir=file.parent,
    ).run


class Services:
    """Starts processes and knows where they listen."""

    def __init__(
        self,
        stack: AsyncExitStack,
        folder: Path,
        store: S3StoreConfig,
        **more: object,
    ) -> None:
        self._stack = stack
        self._folder = folder
        self._store = json.loads(document_of(store))
        self._more = more
        self.each: dict[str, dict[str, object]] = {}
        """More of the config of one service, by its name; for those that start from now on."""
        self.aggregator = ""
        self.dataset = ""
        self._processes: dict[str, list[asyncio.subprocess.Process]] = {}

    def running(self, service: str) -> list[asyncio.subprocess.Process]:
        """Processes of a service that have not ended."""
        return [p for p in self._processes[service] if p.returncode is None]

    async def start(self, service: str, **config: object) -> asyncio.subprocess.Process:
        """`python -m assay.<service>.main`, ended with the test."""
        reading, writing = os.pipe()
        document = {"token": TOKEN, "die_with_parent": True, **config}
        if service in {"aggregator", "dataset"}:
            document |= {"store": self._store, "ready_fd": writing, **self._more}
        document |= self.each.get(service, {})
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"assay.{service}.main",
            "--config-env=ASSAY_CONFIG",
            env={**os.environ, "ASSAY_CONFIG": json.dumps(document)},
            pass_fds=(writing,),
        )
        self._stack.push_async_callback(_end, process)
        self._processes.setdefault(service, []).append(process)
        os.close(writing)
        with os.fdopen(reading) as stream:
            line = (
                await asyncio.to_thread(stream.readline) if "store" in document else ""
            )
        if line:
            setattr(self, service, json.loads(line)["address"])
        return process

    async def start_aggregator(self) -> asyncio.subprocess.Process:
        lock, spool = self._folder / "lock", self._folder / "spool"
        return await self.start("aggregator", lock_file=str(lock), spool=str(spool))

    async def start_dataset(self) -> asyncio.subprocess.Process:
        return await self.start("dataset", work=str(self._folder / "work"))

    @asynccontextmanager
    async def run(self, run_id: str) -> AsyncIterator[RunClient]:
        """Calls about a run."""
        async with open_channel(self.aggregator, TOKEN) as channel:
            yield RunClient(channel, run_id=run_id)

    async def prepare(self, run: Run) -> str:
        """Has the run's only dataset prepared; returns its digest."""
        (dataset,), model = run.datasets, run.models[0]
        async with open_channel(self.dataset, TOKEN) as channel:
            ready = await DatasetClient(channel).prepare(
                dataset.name,
                dataset.source,
                model.pictures,
                run.mirrors,
                lambda _step: None,
            )
        return ready.digest

    async def infer(self, run: Run, run_id: str) -> asyncio.subprocess.Process:
        """One more worker of the run's only model."""
        (model,) = run.models
        return await self.start(
            "infer",
            aggregator=self.aggregator,
            run_id=run_id,
            queue=model.key,
            model=asdict(model),
        )

    async def score(self, task: TaskId, run_id: str) -> None:
        """Scores a task to its end."""
        process = await self.start(
            "scorer",
            aggregator=self.aggregator,
            run_id=run_id,
            model=task.model,
            dataset=task.dataset,
        )
        async with asyncio.timeout(90):
            assert await process.wait() == 0


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


@asynccontextmanager
async def services(folder: Path, store: S3StoreConfig) -> AsyncIterator[Services]:
    """A dataset service and an aggregator of any number of runs."""
    async with AsyncExitStack() as stack:
        made = Services(stack, folder, store)
        await made.start_dataset()
        await made.start_aggregator()
        yield made


def results(objects: Mapping[str, bytes]) -> dict[str, bytes]:
    """Of a run's objects those that every run of equal answers leaves byte by byte."""
    return {
        name: data
        for name, data in objects.items()
        if name == "metrics.json"
        or (name.startswith("samples/") and not name.endswith(".timing.parquet"))
    }
