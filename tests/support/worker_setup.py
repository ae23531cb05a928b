"""A whole worker in-process: fake WorkService, scripted endpoint, the real loop between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from assay.domain.run import Endpoint, Model
from assay.rpc.channel import open_channel
from assay.rpc.server import RpcServer
from assay.rpc.work_client import WorkClient
from assay.worker.contact import Timing
from assay.worker.engines.openai import OpenAIEngine
from assay.worker.loop import WorkerLoop
from support.chat_endpoint import ChatEndpoint
from support.work_fake import TOKEN, Work, serve_work

QUICK = Timing(
    lease_wait=0.2,
    flush=0.01,
    reconnect_first=0.01,
    reconnect_most=0.05,
    patience=20.0,
    probe_first=0.01,
    probe_most=0.05,
    farewell=5.0,
)


def model_at(url: str, **endpoint: Any) -> Model:
    settings = {"timeout": 20.0, "retry": 3, "wait": 0.01, **endpoint}
    return Model(
        key="m",
        kind="CustomAPIModel",
        served_name="m",
        endpoint=Endpoint(api_base=url, **settings),
    )


@dataclass
class Stage:
    """What a test of the loop plays with."""

    work: Work
    server: RpcServer
    loop: WorkerLoop
    running: asyncio.Task[None]

    async def ended(self, seconds: float = 30.0) -> None:
        """Returns when the worker has ended well; raises what ended it otherwise."""
        async with asyncio.timeout(seconds):
            await self.running

    async def restart(self) -> None:
        """Another incarnation of the aggregator, on the same address."""
        address = self.server.address
        await self.server.stop(0)
        self.server = await serve_work(self.work, address)


@asynccontextmanager
async def worker(
    work: Work,
    endpoint: ChatEndpoint | str,
    *,
    timing: Timing = QUICK,
    drain_seconds: float = 5.0,
    key: str = "EMPTY",
    token: str = TOKEN,
    **settings: Any,
) -> AsyncIterator[Stage]:
    url = endpoint if isinstance(endpoint, str) else endpoint.url
    model = model_at(url, **settings)
    server = await serve_work(work)
    engine = OpenAIEngine(model, key)
    await engine.open()
    async with open_channel(server.address, token) as channel:
        client = WorkClient(channel, run_id="r", queue="m", worker_id="w1")
        loop = WorkerLoop(
            client, engine, model, timing=timing, drain_seconds=drain_seconds
        )
        stage = Stage(work, server, loop, asyncio.create_task(loop.run()))
        try:
            yield stage
        finally:
            stage.running.cancel()
            await asyncio.gather(stage.running, return_exceptions=True)
            await engine.close()
            await stage.server.stop(0)
