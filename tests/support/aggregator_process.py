"""Real aggregator processes over one folder, their logs, and clients to them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from assay.rpc.channel import open_channel
from support.aggregator import RUN, TOKEN, Clients, Folder
from support.local_runs import until

MAIN = ("-m", "assay.aggregator.main")


class AggregatorProcess:
    """One process, from its start to its exit code."""

    def __init__(
        self, process: asyncio.subprocess.Process, folder: Folder, ready: int
    ) -> None:
        self._process = process
        self._ready = ready
        self._folder = folder
        self.pid = process.pid

    @classmethod
    async def start(
        cls, folder: Folder, command: Sequence[str] = MAIN, **config: object
    ) -> AggregatorProcess:
        reading, writing = os.pipe()
        config_reading, config_writing = os.pipe()
        document = {
            "token": TOKEN,
            "run_id": RUN,
            "ready_fd": writing,
            "die_with_parent": True,
            "log_file": str(folder.path / "aggregator.log"),
            "store": {"cache": str(folder.cache), "run_dir": str(folder.run_dir)},
            **config,
        }
        os.write(config_writing, json.dumps(document).encode())
        os.close(config_writing)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            "--config-fd",
            str(config_reading),
            pass_fds=(config_reading, writing),
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )
        os.close(config_reading)
        os.close(writing)
        return cls(process, folder, reading)

    async def address(self) -> str:
        """Where it serves; empty: it ended without serving."""
        with os.fdopen(self._ready) as stream:
            line = await asyncio.to_thread(stream.readline)
        self._ready = -1
        return json.loads(line)["address"] if line else ""

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Its exit code."""
        async with asyncio.timeout(30):
            return await self._process.wait()

    async def said(self) -> str:
        """What it wrote to standard error, read to its end."""
        assert self._process.stderr is not None
        return (await self._process.stderr.read()).decode()

    async def stopped(self) -> None:
        """Returns when SIGSTOP has taken effect."""
        await asyncio.to_thread(until, self._is_stopped, f"{self.pid} stops")

    def _is_stopped(self) -> bool:
        stat = Path(f"/proc/{self.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    async def end(self) -> None:
        """SIGKILL, if there is anything left to end."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        # The pipes' transport is closed when their end has been read.
        await self.said()
        if self._ready >= 0:
            os.close(self._ready)


@asynccontextmanager
async def aggregator_process(
    folder: Folder, command: Sequence[str] = MAIN, **config: object
) -> AsyncIterator[tuple[AggregatorProcess, Clients]]:
    """A process that serves, and clients to it; killed at the end if it has not ended by then."""
    process = await AggregatorProcess.start(folder, command, **config)
    try:
        address = await process.address()
        assert address, await process.said()
        async with open_channel(address, TOKEN) as channel:
            yield process, Clients(channel)
    finally:
        await process.end()


def logged(folder: Folder, event: str) -> list[dict[str, str]]:
    """Lines of all processes' log that tell of `event`."""
    text = (folder.path / "aggregator.log").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    return [line for line in lines if line["event"] == event]
