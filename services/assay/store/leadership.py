"""The claim on a run: one aggregator at a time may acknowledge.

`aggregator.main` acquires one before it touches the run, renews it while it serves, and asks `held()`
after each PUT and before each acknowledgement. Two kinds behind one interface: `FlockLock` for
processes of one machine, where the kernel ends the claim with the process; `DeadlineLock`, a lease that
lives by the clock, shaped as a Kubernetes Lease is: a holder, a count of transitions, a duration, and a
successor that waits a whole duration without a renewal before it takes over.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from assay.domain.errors import (
    AssayError,
    CorruptError,
    HeldError,
    NotLeaderError,
    StoreFullError,
    StoreUnavailableError,
)

_POLL_SECONDS = 0.05


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a run. `name` is unique per process start; empty: nobody.

    `pid` is the process to end for the run to be free: a driver that starts its aggregator anew is that,
    not the aggregator.
    """

    name: str = ""
    pid: int = 0
    host: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def this_process(*, of_parent: bool = False) -> Holder:
    """The calling process as a holder; `of_parent`: its parent starts it anew, and it ends with it."""
    pid = os.getppid() if of_parent else os.getpid()
    return Holder(name=os.urandom(8).hex(), pid=pid, host=socket.gethostname())


class Leadership(Protocol):
    """A claim on a run. `transitions` hints at the epoch: it never goes back."""

    renew_seconds: float | None
    """How often `renew` must be called; None: never."""

    @property
    def transitions(self) -> int:
        """How often the claim has changed hands, this acquisition included."""
        ...

    def acquire(self) -> None:
        """Claims the run; may block for as long as a former holder's claim may last.

        Raises:
            HeldError: somebody else holds it and goes on renewing it.
            StoreFullError: the folder may not be written.
            StoreUnavailableError: the claim cannot be read or written.
        """
        ...

    def renew(self) -> None:
        """Prolongs the claim.

        Raises:
            NotLeaderError: somebody else has it now.
            StoreFullError, StoreUnavailableError: as `acquire`; the deadline stays as it was.
        """
        ...

    def held(self) -> bool:
        """Whether this process may acknowledge at this moment."""
        ...

    def release(self) -> None:
        """Gives the claim up, so that a successor need not wait."""
        ...


class _Claim(msgspec.Struct, frozen=True, kw_only=True):
    holder: Holder = Holder()
    transitions: int = 0
    duration: float = 0.0
    renewals: int = 0


class FlockLock:
    """A file lock that the kernel gives back when the process ends, however it ends."""

    renew_seconds: float | None = None

    def __init__(self, path: Path, holder: Holder) -> None:
        self._path = path
        self._holder = holder
        self._descriptor: int | None = None
        self._transitions = 0

    @property
    def transitions(self) -> int:
        """See Leadership."""
        return self._transitions

    def acquire(self) -> None:
        """See Leadership; never waits."""
        descriptor = _open(self._path)
        if not _locked(descriptor):
            holder = _read(descriptor, self._path).holder
            os.close(descriptor)
            raise _held_by(holder, self._path)
        claim = _read(descriptor, self._path)
        self._transitions = claim.transitions + 1
        _write(
            descriptor,
            self._path,
            _Claim(holder=self._holder, transitions=self._transitions),
        )
        self._descriptor = descriptor

    def renew(self) -> None:
        """See Leadership; nothing to do."""

    def held(self) -> bool:
        """See Leadership."""
        return self._descriptor is not None

    def release(self) -> None:
        """See Leadership."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def boot_time() -> float:
    """Seconds of a clock that goes on while the machine sleeps and is never set."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class DeadlineLock:
    """A claim that ends by the clock unless renewed.

    The holder counts its deadline from before it writes a renewal; a successor counts a whole duration
    from when it first saw the last renewal. So the successor starts after the holder has stopped
    acknowledging, whatever either was doing in between, being stopped included.
    """

    def __init__(
        self,
        path: Path,
        holder: Holder,
        duration: float,
        *,
        clock: Callable[[], float] = boot_time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = path
        self._holder = holder
        self._duration = duration
        self._clock = clock
        self._sleep = sleep
        self._deadline = float("-inf")
        self._transitions = 0
        self.renew_seconds: float | None = duration / 3

    @property
    def transitions(self) -> int:
        """See Leadership."""
        return self._transitions

    def acquire(self) -> None:
        """See Leadership; waits a former holder's duration out."""
        seen = self._observe()
        if seen.holder.name:
            seen = self._outlast(seen)
        if not self._take(seen):
            raise _held_by(self._observe().holder, self._path)

    def renew(self) -> None:
        """See Leadership."""
        start = self._clock()
        with self._exclusive() as descriptor:
            claim = _read(descriptor, self._path)
            if claim.holder != self._holder or start >= self._deadline:
                self._deadline = float("-inf")
                raise NotLeaderError(
                    f"cannot renew the claim {self._path}: {claim.holder or 'nobody'} has it"
                )
            self._put(descriptor, claim.transitions, claim.renewals + 1)
        self._deadline = start + self._duration

    def held(self) -> bool:
        """See Leadership."""
        return self._clock() < self._deadline

    def release(self) -> None:
        """See Leadership."""
        with self._exclusive() as descriptor:
            claim = _read(descriptor, self._path)
            if claim.holder == self._holder:
                _write(descriptor, self._path, _Claim(transitions=claim.transitions))
        self._deadline = float("-inf")

    def _outlast(self, seen: _Claim) -> _Claim:
        """Returns when nobody can acknowledge under `seen` any more: a duration passed, or released."""
        until = self._clock() + seen.duration
        while self._clock() < until:
            self._sleep(_POLL_SECONDS)
            now = self._observe()
            if now != seen:
                if now.holder.name:
                    raise _held_by(now.holder, self._path)
                return now
        return seen

    def _take(self, seen: _Claim) -> bool:
        """Writes our claim, provided that the file still says `seen`."""
        start = self._clock()
        with self._exclusive() as descriptor:
            if _read(descriptor, self._path) != seen:
                return False
            self._put(descriptor, seen.transitions + 1, 0)
        self._transitions = seen.transitions + 1
        self._deadline = start + self._duration
        return True

    def _put(self, descriptor: int, transitions: int, renewals: int) -> None:
        claim = _Claim(
            holder=self._holder,
            transitions=transitions,
            duration=self._duration,
            renewals=renewals,
        )
        _write(descriptor, self._path, claim)

    def _observe(self) -> _Claim:
        with self._exclusive() as descriptor:
            return _read(descriptor, self._path)

    @contextmanager
    def _exclusive(self) -> Iterator[int]:
        """The file for one read or compare-and-set: what resourceVersion does for a Kubernetes Lease."""
        descriptor = _open(self._path)
        try:
            until = self._clock() + self._duration
            while not _locked(descriptor):
                if self._clock() >= until:
                    raise StoreUnavailableError(
                        f"cannot read the claim {self._path}: another process keeps it locked"
                    )
                self._sleep(_POLL_SECONDS)
            yield descriptor
        finally:
            os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Python opens close-on-exec: children never inherit the claim.
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise _store_error("open", path, error) from error


def _read(descriptor: int, path: Path) -> _Claim:
    data = os.pread(descriptor, 65536, 0)
    if not data.strip():
        return _Claim()
    try:
        return msgspec.json.decode(data, type=_Claim)
    except msgspec.MsgspecError as error:
        raise CorruptError(
            f"cannot read the claim {path}: {error}",
            cure="delete that file if no aggregator of the run is alive",
        ) from error


def _write(descriptor: int, path: Path, claim: _Claim) -> None:
    # Padded to one length: a shorter claim never leaves the end of a longer one behind.
    data = msgspec.json.encode(claim).ljust(512) + b"\n"
    # Not flushed: a claim does not outlive the machine's running, as its clock does not.
    try:
        os.pwrite(descriptor, data, 0)
    except OSError as error:
        raise _store_error("write", path, error) from error


def _held_by(holder: Holder, path: Path) -> HeldError:
    return HeldError(
        f"cannot claim the run in {path.parent}: {holder} holds it",
        cure="wait for that process or end it",
    )


def _store_error(attempt: str, path: Path, error: OSError) -> AssayError:
    text = f"cannot {attempt} the claim {path}: {error.strerror}"
    if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
        return StoreFullError(text, cure=f"make {path.parent} writable for this user")
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StoreFullError(
            text, cure=f"make room on the file system of {path.parent}, then go on"
        )
    return StoreUnavailableError(text)
