"""Servers as processes that outlive the command which started them, and that a later command ends.

A server is known by its process id and the moment it started, so that an id that was given to somebody
else meanwhile is never signalled.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from cluster.onenode import network
from cluster.onenode.place import Place
from cluster.onenode.servers import Server

_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.05


def start(place: Place, name: str, server: Server) -> None:
    """Starts a server inside the namespace, in a session of its own."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(place.root)}
    with (place.logs / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            network.inside(server.command),
            env={**environment, **server.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=place.root,
            start_new_session=True,
        )
    record = f"{process.pid} {_started(process.pid)}"
    (place.pids / name).write_text(record)


def alive(place: Place, name: str) -> bool:
    """Whether the server that was started under this name still runs."""
    return _recorded(place.pids / name) is not None


def names(place: Place) -> list[str]:
    """Servers that were started, the last one first."""
    found = place.pids.iterdir() if place.pids.is_dir() else []
    return [
        p.name for p in sorted(found, key=lambda p: p.stat().st_mtime, reverse=True)
    ]


def stop(place: Place, name: str) -> None:
    """Ends a server: asked first, then killed with its process group."""
    pid = _recorded(place.pids / name)
    if pid is not None:
        end_group(pid)
    (place.pids / name).unlink(missing_ok=True)


def end_group(pid: int) -> None:
    """Asks a process to end, and kills its group if it does not."""
    until = time.monotonic() + _STOP_SECONDS
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        while _running(pid) and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
        os.killpg(pid, signal.SIGKILL)


def kill_tree(pid: int) -> None:
    """Kills a process and everything it started, leaves first."""
    for child in _children(pid):
        kill_tree(child)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def shims_of(place: Place) -> Iterator[int]:
    """Processes that keep containers of this cluster's containerd alive."""
    wanted = str(place.containerd_socket).encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if b"containerd-shim" in words[0] and wanted in words:
                    yield int(entry.name)


def describe(place: Place, names_of: Mapping[str, str]) -> str:
    """The ends of the servers' logs, for a start that failed."""
    parts = []
    for name in names_of:
        log = place.logs / f"{name}.log"
        if log.is_file():
            lines = log.read_text(errors="replace").splitlines()[-8:]
            parts.append(f"--- {name}\n" + "\n".join(line[:300] for line in lines))
    return "\n".join(parts)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found.extend(map(int, (thread / "children").read_text().split()))
    return found


def _recorded(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        pid, started = path.read_text().split()
        if _started(int(pid)) == started and _running(int(pid)):
            return int(pid)
    return None


def _started(pid: int) -> str:
    """When the process started, in the kernel's own count; empty: there is none."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return ""


def _running(pid: int) -> bool:
    with suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}
    return False
