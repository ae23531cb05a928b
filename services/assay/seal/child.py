"""The child's half of the seal: shut every door, say so, and only then read the input.

A module that `launch.run_sealed` starts does, in this order: import everything, `outlet = seal()`,
`document = read_input()`, work, `outlet.send(...)`. What arrives after the seal is hostile by
assumption; what was imported before it is ours.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.domain.errors import SealError
from assay.seal.filters import load_library, refuse_system_calls, thread_count

SETTINGS_VARIABLE = "ASSAY_SEAL"
"""Where the launcher puts the settings; taken out of the environment by `seal()`."""

SYSTEM_READABLE = (
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/dev/urandom",
    "/dev/zero",
)
"""What shared libraries and Python itself may still want to read."""


@dataclass(frozen=True, slots=True)
class Outlet:
    """Where a child's lines go: one JSON object each, written whole."""

    descriptor: int
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, line: Mapping[str, object]) -> None:
        """Writes one line.

        Raises:
            BrokenPipeError: the launcher is gone.
            TypeError: `line` holds something JSON cannot say.
        """
        data = json.dumps(line, ensure_ascii=True, allow_nan=False).encode() + b"\n"
        with self._lock:
            view = memoryview(data)
            while view:
                view = view[os.write(self.descriptor, view) :]


def read_input() -> bytes:
    """The document the launcher gave; call it after `seal()`."""
    return sys.stdin.buffer.read()


def read_lines() -> Iterator[bytes]:
    """What comes, line by line, where letters follow the document; begin after `seal()`.

    Reads a descriptor of its own: a thread that waits in a buffered reader cannot be left behind at the
    end of the process, and foreign code that says `exit()` closes standard input.
    """
    kept, descriptor = b"", os.dup(sys.stdin.fileno())
    while data := os.read(descriptor, 65536):
        *lines, kept = (kept + data).split(b"\n")
        yield from lines
    if kept:
        yield kept


def seal() -> Outlet:
    """Gives up, for good, everything but the own folder, the pipes and reading the interpreter.

    Raises:
        SealError: a protection that was asked for cannot be had.
    """
    settings = json.loads(os.environ.pop(SETTINGS_VARIABLE))
    outlet = Outlet(settings["descriptor"])
    try:
        outlet.send({"sealed": _shut(settings)})
    except SealError as error:
        outlet.send({"refused": error.message, "cure": error.cure})
        raise
    return outlet


def _shut(settings: Mapping[str, Any]) -> dict[str, str]:
    """Puts every protection in force and names them."""
    _limit(settings)
    if settings["unsealed"]:
        return {"seal": "none (asked for)"}
    library = load_library()
    if (count := thread_count()) != 1:
        raise SealError(
            f"a child with {count} threads cannot be sealed: only one may run"
        )
    readable = [*settings["readable"], *_interpreter(), *SYSTEM_READABLE]
    level = _confine(settings["workdir"], readable)
    _drop_capabilities()
    os.utime = _set_times
    refuse_system_calls(library)
    return {"seal": f"landlock-{level}+seccomp", "kernel": os.uname().release}


def _limit(settings: Mapping[str, Any]) -> None:
    memory, size = settings["memory_limit_bytes"], settings["file_limit_bytes"]
    # CPU seconds only back the launcher's clock up, should the launcher be stopped.
    cpu = int(settings["time_limit_seconds"]) * (os.cpu_count() or 1) + 60
    for which, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, size),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, cpu),
    ):
        _, hard = resource.getrlimit(which)
        wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (wanted, wanted))


def _interpreter() -> Iterable[str]:
    """The interpreter's own folders and those it imports from."""
    yield from (sys.prefix, sys.base_prefix, sys.exec_prefix)
    yield from (entry for entry in sys.path if entry)


def _confine(workdir: str, readable: Iterable[str]) -> int:
    import sandlock  # noqa: PLC0415 - loads a native library that only sealed children need

    level: int = sandlock.landlock_abi_version()
    if level < 1:
        raise SealError(
            "this system has no file rules for processes (Landlock, Linux 5.13 or later)",
            cure="enable Landlock, or say --unsealed to run upstream's code without them",
        )
    policy = sandlock.Sandbox(
        fs_writable=[workdir, "/dev/null"],
        fs_readable=sorted({path for path in readable if Path(path).exists()}),
        # What an older kernel lacks here (signals, truncation, sockets) the system-call filter refuses.
        allow_degraded=list(sandlock.Protection),
    )
    try:
        sandlock.confine(policy)
    except sandlock.SandlockError as error:
        raise SealError(
            f"the kernel's file rules (level {level}) did not take: {error}"
        ) from error
    return level


_utime = os.utime


def _set_times(path: Any, *arguments: Any, **options: Any) -> None:
    """`os.utime` by descriptor: xlsxwriter sets the times of its own files by path."""
    if isinstance(path, int):
        _utime(path, *arguments, **options)
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _utime(descriptor, *arguments, **options)
    finally:
        os.close(descriptor)


def _drop_capabilities() -> None:
    """Leaves root with no privilege but reading its own folders, whoever owns the files in them."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    pr_capbset_drop, version_3, dac_override = 24, 0x20080522, 1
    for capability in range(64):
        libc.prctl(pr_capbset_drop, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(version_3, 0)
    keep = 1 << dac_override
    data = (ctypes.c_uint32 * 6)(keep, keep, 0, 0, 0, 0)
    if libc.capset(header, data) != 0:
        raise SealError(
            f"root's capabilities cannot be dropped: {os.strerror(ctypes.get_errno())}"
        )
