"""The infer worker as the process a driver starts."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from assay.process.contract import ExitCode
from assay.rpc.channel import open_channel
from assay.v1 import worker_pb2, worker_pb2_grpc
from support.chat_endpoint import ChatEndpoint, chat_endpoint
from support.work_fake import TOKEN, Work, serve_work
from support.worker_setup import model_at

pytestmark = pytest.mark.e2e


class Process:
    def __init__(self, child: asyncio.subprocess.Process, address: str) -> None:
        self.child = child
        self.address = address

    async def exit_code(self) -> int:
        async with asyncio.timeout(40):
            return await self.child.wait()


@asynccontextmanager
async def infer(
    work: Work, endpoint: ChatEndpoint, log_file: Path, **settings: Any
) -> AsyncIterator[Process]:
    server = await serve_work(work)
    config = {
        "token": TOKEN,
        "aggregator": server.address,
        "run_id": "r",
        "queue": "m",
        "worker_id": "w1",
        "model": msgspec.to_builtins(model_at(endpoint.url)),
        "api_key": "sk-not-for-logs",
        "log_file": str(log_file),
        **settings,
    }
    config_fd, to_config = os.pipe()
    from_ready, ready_fd = os.pipe()
    os.write(to_config, json.dumps({**config, "ready_fd": ready_fd}).encode())
    os.close(to_config)
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "assay.infer.main",
        "--config-fd",
        str(config_fd),
        pass_fds=(config_fd, ready_fd),
    )
    os.close(config_fd)
    os.close(ready_fd)
    try:
        with os.fdopen(from_ready) as ready:
            line = await asyncio.to_thread(ready.readline)
        yield Process(child, json.loads(line)["address"] if line else "")
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
        await server.stop(0)


async def test_it_exits_0_when_the_queue_is_closed(tmp_path: Path) -> None:
    work, log = Work.of(50), tmp_path / "log"
    async with chat_endpoint() as endpoint, infer(work, endpoint, log) as process:
        assert await process.exit_code() == ExitCode.OK
    assert len(work.committed) == 50
    assert endpoint.headers[0]["Authorization"] == "Bearer sk-not-for-logs"
    assert "sk-not-for-logs" not in log.read_text()


async def test_a_worker_that_is_not_to_listen_works_all_the_same(
    tmp_path: Path,
) -> None:
    token, work = tmp_path / "token", Work.of(5)
    token.write_text(TOKEN)
    pod = {"listen": "", "token": "", "token_file": str(token)}
    async with (
        chat_endpoint() as endpoint,
        infer(work, endpoint, tmp_path / "log", **pod) as process,
    ):
        assert await process.exit_code() == ExitCode.OK
    assert process.address == ""
    assert len(work.committed) == 5


async def test_sigterm_drains_the_worker_and_its_exit_code_asks_for_another(
    tmp_path: Path,
) -> None:
    work = Work.of(200)
    async with (
        chat_endpoint() as endpoint,
        infer(work, endpoint, tmp_path / "log") as process,
    ):
        endpoint.delay = 0.3
        await work.until(lambda: endpoint.in_flight == 4)
        process.child.send_signal(signal.SIGTERM)
        assert await process.exit_code() == ExitCode.RETRY
    assert endpoint.asked.total() == len(work.committed)
    assert work.leased == {}


async def test_killed_it_costs_only_what_was_in_flight_or_unacknowledged(
    tmp_path: Path,
) -> None:
    work = Work.of(60)
    async with chat_endpoint() as endpoint:
        endpoint.delay = 0.05
        async with infer(work, endpoint, tmp_path / "log") as process:
            await work.until(lambda: len(work.committed) > 10)
            process.child.kill()
            await process.exit_code()
        open_at_kill = endpoint.asked.total() - len(work.committed)
        work.leased.clear()
        async with infer(work, endpoint, tmp_path / "log") as process:
            assert await process.exit_code() == ExitCode.OK
    assert len(work.committed) == 60
    assert endpoint.asked.total() - 60 <= open_at_kill


async def test_describe_says_what_it_does_and_drain_ends_it(tmp_path: Path) -> None:
    work = Work.of(200)
    async with (
        chat_endpoint() as endpoint,
        infer(work, endpoint, tmp_path / "log") as process,
        open_channel(process.address, TOKEN) as channel,
    ):
        endpoint.delay = 0.3
        await work.until(lambda: endpoint.in_flight == 4)
        stub = worker_pb2_grpc.WorkerServiceStub(channel)
        view = await stub.Describe(worker_pb2.DescribeRequest(), timeout=10)
        assert (view.worker_id, view.run_id, view.queue) == ("w1", "r", "m")
        assert view.in_flight_count == 4
        assert not view.draining
        assert (await stub.Drain(worker_pb2.DrainRequest(), timeout=10)).draining
        assert await process.exit_code() == ExitCode.RETRY
    assert endpoint.asked.total() == len(work.committed)


async def test_a_config_it_cannot_use_is_named(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with (
        chat_endpoint() as endpoint,
        infer(Work.of(1), endpoint, log, model={"key": 1}) as process,
    ):
        assert await process.exit_code() == ExitCode.BAD_CONFIG
