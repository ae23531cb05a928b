"""The launcher's half of the seal: start a child, feed it, read its lines, kill it when it breaks a limit.

The dataset service and the scorer call `run_sealed`. The child is exec'd, never forked from the caller,
with a scrubbed environment and no descriptor but its document, its output and the pipe of its lines.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.domain.errors import SealError
from assay.seal.child import SETTINGS_VARIABLE
from assay.seal.letters import Letters

MIB = 1024 * 1024
_STDERR_KEPT_BYTES = 8 * 1024
_LINE_LIMIT_BYTES = 16 * MIB
_PASSED_ON = ("LD_LIBRARY_PATH", "PYTHONPATH", "TZ")
"""What the interpreter may need to start at all, or to agree with us about the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedJob:
    """One run of one module in a sealed child.

    Attributes:
        module: run as `python -m module`; it calls `assay.seal.child.seal()`.
        argv: its arguments; visible to other users of the machine, so no secrets.
        workdir: its current, home and temporary folder; exists; all it may write.
        stdin: the document `read_input()` gives it.
        readable: files and folders it may read besides its own and the interpreter's.
        environment: added to the scrubbed environment.
        memory_limit_bytes: address space; beyond it allocations fail.
        file_limit_bytes: size of any file it writes.
        disk_limit_bytes: size of all files in its folder; looked at twice a second.
        output_limit_bytes: all its lines together.
        time_limit_seconds: wall clock; then it is killed.
        unsealed: run without file rules and system-call filter (the user asked for it).
    """

    module: str
    workdir: Path
    argv: tuple[str, ...] = ()
    stdin: bytes = b""
    readable: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    memory_limit_bytes: int = 4096 * MIB
    file_limit_bytes: int = 4096 * MIB
    disk_limit_bytes: int = 16384 * MIB
    output_limit_bytes: int = 1024 * MIB
    time_limit_seconds: float = 3600.0
    unsealed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedResult:
    """What is known of a child that ended well.

    Attributes:
        protections: what was in force, by name (`seal`, `kernel`); words for a report.
        stderr: the end of what it printed: text to look at, never to act on.
    """

    protections: Mapping[str, str]
    stderr: str


Line = dict[str, object]


async def run_sealed(
    job: SealedJob,
    on_line: Callable[[Line], None],
    document: Awaitable[bytes] | None = None,
    letters: Letters | None = None,
) -> SealedResult:
    """Runs `job` to its end; `on_line` gets each JSON object the child sends, in order.

    `document` stands for `job.stdin` where it takes time to come: the child imports and seals itself
    meanwhile, and its time limit counts from then. An exception of `on_line` or `document` kills the
    child and is raised. With `letters` the document is the first of several lines: more follow, as they
    are sent, until the child ends.

    Raises:
        SealError: the child could not be sealed, broke a limit, or ended badly.
    """
    reading, writing = os.pipe()
    try:
        process = await _start(job, writing)
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    tail = _Tail(process)
    lines = _Lines(job, on_line)
    try:
        async with asyncio.timeout(job.time_limit_seconds) as clock:
            feed = _feed(job, process, document, letters, clock)
            await _converse(job, reading, feed, lines, tail)
            await process.wait()
    except TimeoutError:
        raise SealError(
            f"the sealed child {job.module} was killed after {job.time_limit_seconds:.0f} s"
        ) from None
    except ExceptionGroup as group:
        raise _first(group) from None
    finally:
        await _kill(process)
    if process.returncode != 0:
        raise SealError(_ending(job.module, process.returncode, tail.text()))
    return SealedResult(protections=lines.protections(), stderr=tail.text())


async def _start(job: SealedJob, descriptor: int) -> Process:
    settings = {
        "descriptor": descriptor,
        "launcher": os.getpid(),
        "workdir": str(job.workdir),
        "readable": [str(path) for path in job.readable],
        "memory_limit_bytes": job.memory_limit_bytes,
        "file_limit_bytes": job.file_limit_bytes,
        "time_limit_seconds": job.time_limit_seconds,
        "unsealed": job.unsealed,
    }
    temporary = job.workdir / "tmp"
    temporary.mkdir(exist_ok=True)
    environment = _environment(job, temporary)
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "assay.seal",
        job.module,
        *job.argv,
        cwd=job.workdir,
        env=environment | {SETTINGS_VARIABLE: json.dumps(settings)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        pass_fds=(descriptor,),
        start_new_session=True,
    )


async def _feed(
    job: SealedJob,
    process: Process,
    document: Awaitable[bytes] | None,
    letters: Letters | None,
    clock: asyncio.Timeout,
) -> None:
    """Gives the child its document, whole; a child that does not want it says why by how it ends."""
    data = job.stdin if document is None else await document
    loop = asyncio.get_running_loop()

    def wind(waiting: bool) -> None:  # noqa: FBT001 - a callback's only argument
        clock.reschedule(None if waiting else loop.time() + job.time_limit_seconds)

    wind(False)  # noqa: FBT003 - as above
    stream = process.stdin
    assert stream is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stream.write(data)
        await stream.drain()
        if letters is not None:
            letters.on_change(wind)
            stream.write(b"\n")
            while True:
                stream.write(await letters.next())
                await stream.drain()
    stream.close()


def _environment(job: SealedJob, temporary: Path) -> dict[str, str]:
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {
        **passed,
        "PATH": "/usr/bin:/bin",
        "HOME": str(job.workdir),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "PYTHONUTF8": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        # File rules bind the thread that asks for them: no library may have started one before.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
        **job.environment,
    }


async def _converse(
    job: SealedJob,
    reading: int,
    feed: Coroutine[Any, Any, None],
    lines: _Lines,
    tail: _Tail,
) -> None:
    """Feeds the child, and reads it until it closes its pipes."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LINE_LIMIT_BYTES)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb")
    )
    try:
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_watch_disk(job))
            feeding = group.create_task(feed)
            try:
                async with asyncio.TaskGroup() as pipes:
                    pipes.create_task(lines.read(reader))
                    pipes.create_task(tail.read())
            finally:
                watch.cancel()
                # A child may end without having read; then nobody will.
                feeding.cancel()
    finally:
        transport.close()


async def _watch_disk(job: SealedJob) -> None:
    while True:
        await asyncio.sleep(0.5)
        if await asyncio.to_thread(_size, job.workdir) > job.disk_limit_bytes:
            raise SealError(
                f"the sealed child {job.module} wrote more than {job.disk_limit_bytes} bytes"
            )


def _size(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            # The child makes and removes files while we look.
            with contextlib.suppress(OSError):
                total += os.lstat(Path(path) / name).st_size
    return total


class _Lines:
    """Reads the child's lines; the first must be the seal's own."""

    def __init__(self, job: SealedJob, on_line: Callable[[Line], None]) -> None:
        self._job = job
        self._on_line = on_line
        self._sealed: Mapping[str, str] | None = None

    def protections(self) -> Mapping[str, str]:
        """What the child said was in force.

        Raises:
            SealError: it never said.
        """
        if self._sealed is None:
            raise SealError(
                f"the child {self._job.module} ended without sealing itself"
            )
        return self._sealed

    async def read(self, reader: asyncio.StreamReader) -> None:
        size = 0
        while True:
            try:
                data = await reader.readline()
            except ValueError:
                raise SealError(
                    f"the sealed child {self._job.module} sent a line over {_LINE_LIMIT_BYTES} bytes"
                ) from None
            if not data:
                return
            size += len(data)
            if size > self._job.output_limit_bytes:
                raise SealError(
                    f"the sealed child {self._job.module} sent more than"
                    f" {self._job.output_limit_bytes} bytes"
                )
            self._take(data)

    def _take(self, data: bytes) -> None:
        try:
            line = json.loads(data)
        except ValueError:
            line = None
        if not isinstance(line, dict):
            raise SealError(
                f"the sealed child {self._job.module} sent a line that is no object"
            )
        if self._sealed is None:
            told = line.get("sealed")
            if isinstance(refused := line.get("refused"), str):
                raise SealError(refused, cure=str(line.get("cure") or "") or None)
            if not isinstance(told, dict):
                raise SealError(
                    f"the child {self._job.module} spoke before sealing itself"
                )
            self._sealed = {str(key): str(value) for key, value in told.items()}
            return
        self._on_line(line)


class _Tail:
    """Keeps the end of what the child prints."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._kept = b""

    def text(self) -> str:
        """The end, printable."""
        text = self._kept.decode(errors="replace").strip()
        return "".join(c for c in text if c.isprintable() or c == "\n")

    async def read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while data := await stream.read(65536):
            self._kept = (self._kept + data)[-_STDERR_KEPT_BYTES:]


async def _kill(process: Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _ending(module: str, code: int | None, printed: str) -> str:
    last = printed.splitlines()[-1][:500] if printed else "it printed nothing"
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"the sealed child {module} was ended by {signal.Signals(-code).name}: {last}"
    return f"the sealed child {module} ended with exit code {code}: {last}"


def fresh_workdir(parent: Path, name: str) -> Path:
    """An empty folder for one job, whatever a former one of that name left.

    Raises:
        OSError: the folder cannot be made.
    """
    folder = parent / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    return folder
