"""Watches a command and every process below it: CPU, memory, and when each began and ended."""

import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

INTERVAL = 0.02
"""Seconds between looks; what a process does after the last look at it is not counted."""


@dataclass
class Watched:
    """One process as it was last seen."""

    module: str
    begun: float
    seen: float = 0.0
    cpu_seconds: float = 0.0
    peak_rss_bytes: int = 0


@dataclass
class Outcome:
    """A command that ended.

    Attributes:
        begun: when it was started, seconds of the wall clock.
        wall_seconds: from start to exit.
        processes: all that ran below it, itself included.
        machine_cpu_seconds: CPU that the whole machine spent meanwhile, on whatever it did.
    """

    code: int
    said: str
    begun: float
    wall_seconds: float
    processes: list[Watched]
    machine_cpu_seconds: float

    def others(self, known: float) -> float:
        """Cores that neither the command nor `known` CPU seconds account for."""
        mine = sum(each.cpu_seconds for each in self.processes) + known
        return max(0.0, self.machine_cpu_seconds - mine) / self.wall_seconds

    def of(self, module: str) -> list[Watched]:
        """The processes started with `-m <module>`."""
        return [each for each in self.processes if each.module == module]


def run_watched(
    command: list[str], *, environment: Mapping[str, str], log: Path, timeout: float
) -> Outcome:
    """Runs a command to its end; its output goes to `log`.

    Raises:
        TimeoutError: it did not end in time; it was killed.
    """
    begun, busy = time.time(), _busy()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        watcher = _Watcher(psutil.Process(process.pid))
        watcher.start()
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise TimeoutError(f"{command} did not end in {timeout} s") from None
        finally:
            wall = time.time() - begun
            watcher.finish()
    said = log.read_text(errors="replace")
    found = list(watcher.found.values())
    return Outcome(code, said, begun, wall, found, _busy() - busy)


def _busy() -> float:
    times = psutil.cpu_times()
    return sum(times) - times.idle - times.iowait - times.guest - times.guest_nice


class _Watcher(threading.Thread):
    def __init__(self, root: psutil.Process) -> None:
        super().__init__(name="watch", daemon=True)
        self.root = root
        self.found: dict[int, Watched] = {}
        self.handles: dict[int, psutil.Process] = {}
        self.over = threading.Event()

    def run(self) -> None:
        looks = 0
        while not self.over.wait(INTERVAL):
            # Listing children reads all of /proc: once in five looks is enough to find them.
            if looks % 5 == 0:
                self._find()
            looks += 1
            for pid in list(self.handles):
                self._look(pid)

    def finish(self) -> None:
        self.over.set()
        self.join()

    def _find(self) -> None:
        try:
            alive = [self.root, *self.root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in alive:
            try:
                line = process.cmdline()
                begun = process.create_time()
            except psutil.Error:
                continue
            module = line[line.index("-m") + 1] if "-m" in line[:-1] else ""
            self.handles.setdefault(process.pid, process)
            seen = self.found.setdefault(process.pid, Watched(module, begun))
            # A child bears its parent's name until it has become its own program.
            seen.module = module or seen.module

    def _look(self, pid: int) -> None:
        try:
            times = self.handles[pid].cpu_times()
            status = Path(f"/proc/{pid}/status").read_text()
        except (psutil.Error, OSError):
            self.handles.pop(pid)
            return
        seen = self.found[pid]
        seen.seen = time.time()
        # A zombie reports no memory, and its CPU is final.
        seen.cpu_seconds = max(seen.cpu_seconds, times.user + times.system)
        place = status.find("VmHWM:")
        if place >= 0:
            seen.peak_rss_bytes = int(status[place + 6 :].split(None, 1)[0]) * 1024
