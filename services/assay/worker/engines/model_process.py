"""The process of one local model, as the local engine speaks with it: started, asked, ended.

What runs there is `vlmevalkit/apart/model_process.py`, by an interpreter that has torch; this side has not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[2] / "vlmevalkit" / "apart" / "model_process.py"

_LINE_BYTES = 16 * 1024 * 1024
_TAIL_BYTES = 4000
_END_SECONDS = 5.0


class ProcessEndedError(Exception):
    """The process is gone; the text holds the end of what it wrote. Never leaves the engine."""


class ModelProcess:
    """One process; `start` before `ask`, one question at a time, `end` after."""

    def __init__(self, python: str, log: Path, environ: Mapping[str, str]) -> None:
        self._python = python
        self._log = log
        self._environ = environ
        self._process: asyncio.subprocess.Process | None = None

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process is not None and self._process.returncode is None

    async def start(self, job: Mapping[str, object]) -> dict[str, Any]:
        """Starts it and has the model built; returns what it says of it.

        Raises:
            ProcessEndedError: it ended before it said anything.
            OSError: there is no such interpreter.
        """
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                self._python,
                # Nothing of the user's folder or environment may stand in for a module.
                "-I",
                str(SCRIPT),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=dict(self._environ),
                limit=_LINE_BYTES,
            )
        return await self.ask(json.dumps(job).encode())

    async def ask(self, line: bytes) -> dict[str, Any]:
        """Sends one line and returns the answer to it.

        Raises:
            ProcessEndedError: it ended meanwhile.
        """
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(line + b"\n")
            await process.stdin.drain()
            answer = await process.stdout.readline()
            if answer.endswith(b"\n"):
                told: dict[str, Any] = json.loads(answer)
                return told
        except (OSError, ValueError) as error:
            raise ProcessEndedError(f"{error}; {self.tail()}") from error
        code = await process.wait()
        raise ProcessEndedError(f"it ended with {code}: {self.tail()}")

    def tail(self) -> str:
        """The last words of its log, in one line."""
        try:
            with self._log.open("rb") as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - _TAIL_BYTES))
                lines = log.read().decode(errors="replace").split("\n")
        except OSError:
            return ""
        said = [line.strip() for line in lines if line.strip()]
        return said[-1] if said else ""

    async def end(self) -> None:
        """Ends it, and returns when it is gone."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
