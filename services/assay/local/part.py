"""One supervised place for a process: at most one incarnation at a time, and a memory of its deaths.

The driver starts and stops parts as `decide` says; a part only tells what became of its process.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from assay.domain.observed import Death, Ending, PartView, Presence
from assay.local.journal import last_words
from assay.process.contract import ExitCode, ProcessConfig, document_of

_ENDINGS: dict[int, Ending] = {
    ExitCode.OK: Ending.DONE,
    ExitCode.BAD_CONFIG: Ending.REFUSED,
    ExitCode.HELD: Ending.HELD,
    ExitCode.RETRY: Ending.MUST_GO,
}

_ROOM_FOR_WORDS = 64 * 1024
"""Free bytes below which a log may have lost its end."""

MakeConfig = Callable[[int | None], ProcessConfig]
"""Builds the config of one incarnation, given the descriptor to announce readiness on."""


class Part:
    """A place for one process of ours."""

    def __init__(
        self,
        *,
        module: str,
        journal: Path,
        serves: bool,
        changed: Callable[[], None],
        progress: Callable[[], int],
        died: Callable[[Death], None] = lambda _: None,
    ) -> None:
        """Makes an empty place.

        Args:
            module: what `python -m` runs.
            journal: its log; standard error goes there too.
            serves: whether it announces when it listens; otherwise it is ready at once.
            changed: called after every change of the view.
            progress: how far the run has come, for the record of deaths.
            died: told of deaths that nobody asked for.
        """
        self._module = module
        self._journal = journal
        self._serves = serves
        self._changed = changed
        self._progress = progress
        self._died = died
        self._process: asyncio.subprocess.Process | None = None
        self._presence = Presence.ABSENT
        self._deaths: list[Death] = []
        self._life: asyncio.Task[None] | None = None
        self._asked_to_go = False
        self.incarnation = 0
        """Counts starts."""

    @property
    def view(self) -> PartView:
        """What `decide` is shown of it."""
        present = self._presence is not Presence.ABSENT
        return PartView(
            presence=self._presence,
            count=int(present),
            deaths=tuple(self._deaths),
            journal=str(self._journal),
        )

    def start(self, make_config: MakeConfig) -> None:
        """Starts an incarnation unless one is there."""
        if self._life is not None and not self._life.done():
            return
        self._presence = Presence.STARTING
        self._asked_to_go = False
        self.incarnation += 1
        self._life = asyncio.create_task(self._live(make_config))

    def terminate(self) -> None:
        """Asks the process to finish and go."""
        self._asked_to_go = True
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()

    def kill(self) -> None:
        """Ends the process and everything it started, at once."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def gone(self) -> None:
        """Returns when no incarnation is left."""
        if self._life is not None:
            await asyncio.wait([self._life])

    async def _live(self, make_config: MakeConfig) -> None:
        started = time.monotonic()
        offset = self._journal.stat().st_size if self._journal.exists() else 0
        try:
            code, message = await self._incarnation(make_config), ""
        except Exception as error:  # noqa: BLE001 - the boundary of a life: told as its last words
            code, message = ExitCode.FAILED, f"cannot start {self._module}: {error}"
        now = time.monotonic()
        self._process = None
        self._presence = Presence.ABSENT
        if message == "" and code != ExitCode.OK:
            message = last_words(self._journal, offset) or _manner(code) + _unsaid(
                self._journal
            )
        death = Death(
            at=now,
            lived=now - started,
            ending=_ENDINGS.get(code, Ending.CRASHED),
            progress=self._progress(),
            message=message,
        )
        self._deaths.append(death)
        if not self._asked_to_go:
            self._died(death)
        self._changed()

    async def _incarnation(self, make_config: MakeConfig) -> int:
        config_read, config_write = os.pipe()
        ready_read, ready_write = os.pipe()
        try:
            config = make_config(ready_write if self._serves else None)
            with self._journal.open("ab") as journal:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    # Files in the user's working directory must not shadow modules.
                    "-P",
                    "-m",
                    self._module,
                    "--config-fd",
                    str(config_read),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=journal,
                    stderr=journal,
                    pass_fds=(config_read, ready_write),
                    # Ctrl-C reaches the driver alone, which then asks every part to finish.
                    start_new_session=True,
                )
        except BaseException:
            os.close(config_write)
            os.close(ready_read)
            raise
        finally:
            os.close(config_read)
            os.close(ready_write)
        process = self._process
        readiness = asyncio.create_task(self._await_ready(ready_read))
        await asyncio.to_thread(_hand_over, config_write, document_of(config))
        code = await process.wait()
        # Whatever it had started goes with it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        # What it started may still hold the pipe open.
        readiness.cancel()
        await asyncio.wait([readiness])
        return code

    async def _await_ready(self, descriptor: int) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader),
            os.fdopen(descriptor, "rb", buffering=0),
        )
        try:
            line = await reader.readline() if self._serves else b"ready"
        finally:
            transport.close()
        if line:
            self._presence = Presence.READY
            self._changed()


def _manner(code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


def _unsaid(journal: Path) -> str:
    """Why a process may have had no last words: they found no room."""
    try:
        free = shutil.disk_usage(journal.parent).free
    except OSError:
        return ""
    if free >= _ROOM_FOR_WORDS:
        return ""
    return f", its reason unwritten: no room is left on the file system of {journal} (make room)"


def _hand_over(descriptor: int, document: bytes) -> None:
    # A process that ends before it has read everything is seen by its exit code.
    with suppress(BrokenPipeError), os.fdopen(descriptor, "wb") as stream:
        stream.write(document)
