"""A claim by a Kubernetes Lease: one holder at a time may act.

The aggregator of a cluster and the controller's standby pair use it; it is a `Leadership` as
`assay.store.leadership` describes one. A Lease fences nothing by itself: its holder asks `held()` before
each act, and what it writes is checked by versions and epochs besides.

Nobody compares clocks. The holder counts its deadline from before it sent a renewal; a rival counts a whole
duration from when it saw the last one. Times inside the Lease are for people to read.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from assay.domain.errors import (
    ConflictError,
    HeldError,
    NotFoundError,
    NotLeaderError,
    TransientError,
)
from assay.kube.api import KubeApi
from assay.kube.objects import KubeObject
from assay.kube.resources import LEASES
from assay.kube.transport import Timeouts

_log = structlog.get_logger(__name__)


class LeaseSpec(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """What a Lease says; an absent field is null."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class Lease(KubeObject, frozen=True, kw_only=True):
    """A Lease as it was read."""

    spec: LeaseSpec = LeaseSpec()

    @property
    def holder(self) -> str:
        """Who has it; empty: nobody."""
        return self.spec.holder_identity or ""

    @property
    def transitions(self) -> int:
        """How often it was acquired."""
        return self.spec.lease_transitions or 0


class Vigil:
    """Whether a holder goes on renewing, judged by our own clock alone."""

    def __init__(self, duration: float) -> None:
        """Has seen nothing yet.

        Args:
            duration: in seconds, for a Lease that does not say its own.
        """
        self._duration = duration
        self._last: LeaseSpec | None = None
        self._since = float("-inf")

    def watch(self, lease: Lease, now: float) -> float:
        """Takes in what the Lease says now; returns the seconds until it may be taken if nothing changes.

        0: it is free, or its holder has not renewed for its whole duration while we looked.
        """
        if not lease.holder:
            return 0.0
        if lease.spec != self._last:
            self._last = lease.spec
            self._since = now
        lasts = lease.spec.lease_duration_seconds or self._duration
        return max(0.0, self._since + lasts - now)


def boot_time() -> float:
    """Seconds of a clock that goes on while the machine sleeps and is never set."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def timeouts_for(duration: float) -> Timeouts:
    """With these, a renewal that hangs leaves time for another before the claim is over."""
    share = duration / 6
    return Timeouts(connect=share, read=share, total=share)


class KubernetesLease:
    """A `Leadership` over one Lease.

    One thread acquires and renews; `held` and `release` may be called from any.
    """

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        name: str,
        holder: str,
        *,
        duration: int = 15,
        labels: Mapping[str, str] | None = None,
        clock: Callable[[], float] = boot_time,
        chance: Callable[[], float] = random.random,
        stop: threading.Event | None = None,
    ) -> None:
        """Claims nothing yet.

        Args:
            api: whom to ask, over a transport of its own with `timeouts_for(duration)`: what else this
                process asks must not delay a renewal.
            namespace: of the Lease.
            name: of the Lease.
            holder: who we are, unique per process start: the pod's UID and something random.
            duration: seconds that a claim lasts without a renewal.
            labels: of the Lease when it is made.
            clock: seconds that go on while the machine sleeps.
            chance: numbers in [0, 1), for spreading renewals.
            stop: ends waits; None: nothing does.
        """
        self._api = api
        self._namespace = namespace
        self._name = name
        self._holder = holder
        self._duration = duration
        self._labels = dict(labels or {})
        self._clock = clock
        self._chance = chance
        self._stop = stop or threading.Event()
        self._vigil = Vigil(duration)
        self._lease: Lease | None = None
        self._deadline = float("-inf")
        self._transitions = 0
        # Keeps a renewal that is on its way from prolonging what `release` has given up.
        self._requests = threading.Lock()
        self._released = False
        self.renew_seconds: float | None = self._next_renewal()

    @property
    def transitions(self) -> int:
        """See Leadership."""
        return self._transitions

    def held(self) -> bool:
        """See Leadership."""
        return self._clock() < self._deadline

    def try_acquire(self) -> float:
        """Claims it if that can be done now; returns the seconds after which to try again, 0 when it is ours.

        Raises:
            UnavailableError, UnauthenticatedError, PermissionDeniedError: as the API server answers.
        """
        self._released = False
        seen = self._read()
        left = self._vigil.watch(seen, self._clock()) if seen is not None else 0.0
        # Ours already: a write of ours landed whose answer was lost. It has to be renewed all the same,
        # since nobody knows when it landed.
        ours = seen is not None and seen.holder == self._holder
        if left > 0 and not ours:
            return left
        former = seen.transitions if seen is not None else 0
        try:
            self._write(seen, former if ours else former + 1, acquired=True)
        except ConflictError:
            # Somebody was quicker. The next attempt sees their claim, and counts from then.
            return self._poll
        return 0.0

    def acquire(self) -> None:
        """See Leadership: waits a silent holder's duration out, and a living one not at all."""
        first: Lease | None = None
        while left := self.try_acquire():
            seen = self._lease
            if first is None:
                first = seen
            elif seen is not None and _moved(first, seen):
                raise self._held_by(seen)
            if self._stop.wait(min(left, self._poll)):
                raise self._held_by(seen)

    def stand_by(self) -> bool:
        """Waits until it is ours, however long its holders live; False: stopped before.

        An API server that does not answer is asked again: it is one to its holder, too.

        Raises:
            UnauthenticatedError, PermissionDeniedError: as the API server answers.
        """
        while True:
            try:
                left = self.try_acquire()
            except TransientError as error:
                _log.warning("cannot look at the Lease", error=str(error))
                left = self._poll
            if left <= 0:
                return True
            if self._stop.wait(min(left, self._poll)):
                return False

    def renew(self) -> None:
        """See Leadership."""
        self.renew_seconds = self._next_renewal()
        with self._requests:
            if self._lease is None or not self.held():
                self._deadline = float("-inf")
                raise NotLeaderError(
                    f"cannot renew {self._what}: it was not renewed in time"
                )
            try:
                self._write(self._lease, self._transitions)
            except (ConflictError, NotFoundError):
                self._renew_anew()

    def release(self) -> None:
        """See Leadership."""
        had = self._deadline > float("-inf")
        # First we stop acting, then we say so.
        self._released = True
        self._deadline = float("-inf")
        if not had:
            return
        with self._requests:
            seen = self._read()
            if seen is None or seen.holder != self._holder:
                return
            spec = {
                "holderIdentity": "",
                "leaseDurationSeconds": 1,
                "renewTime": _wall_time(),
                "leaseTransitions": seen.transitions,
            }
            try:
                self._put(seen, spec)
            except (ConflictError, NotFoundError):
                return  # Somebody has taken it over, or taken it away.

    def _renew_anew(self) -> None:
        """After a conflict: an earlier renewal landed unanswered, somebody labelled it, or it is lost."""
        seen = self._read()
        if seen is None or seen.holder != self._holder:
            raise self._lost(seen)
        # Another conflict on top of this one is left to the next renewal: the deadline stands.
        self._write(seen, self._transitions)

    def _write(
        self, seen: Lease | None, transitions: int, *, acquired: bool = False
    ) -> None:
        start = self._clock()
        now = _wall_time()
        spec: dict[str, Any] = {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": self._duration,
            "renewTime": now,
            "leaseTransitions": transitions,
        }
        if acquired:
            spec["acquireTime"] = now
        self._lease = self._put(seen, spec)
        self._transitions = transitions
        if not self._released:
            self._deadline = start + self._duration

    def _put(self, seen: Lease | None, spec: Mapping[str, Any]) -> Lease:
        if seen is None:
            metadata = {"name": self._name, "labels": self._labels}
            body = {"metadata": metadata, "spec": spec}
            return self._api.create(LEASES, body, self._namespace, of=Lease)
        # Of exactly the version that we saw: whoever is second is refused.
        version = {"resourceVersion": seen.metadata.resource_version}
        return self._api.merge(
            LEASES,
            self._name,
            {"metadata": version, "spec": spec},
            self._namespace,
            of=Lease,
        )

    def _read(self) -> Lease | None:
        try:
            self._lease = self._api.get(LEASES, self._name, self._namespace, of=Lease)
        except NotFoundError:
            self._lease = None
        return self._lease

    @property
    def _poll(self) -> float:
        """How often somebody who waits looks: some spread, so that two who wait do not stay in step."""
        return self._duration / 8 * (0.75 + self._chance() / 2)

    def _next_renewal(self) -> float:
        """Three attempts fit into a duration."""
        return self._duration / 4 * (0.8 + self._chance() / 5)

    @property
    def _what(self) -> str:
        return f"the Lease {self._namespace}/{self._name}"

    def _held_by(self, lease: Lease | None) -> HeldError:
        holder = lease.holder if lease is not None else "nobody"
        return HeldError(
            f"cannot claim {self._what}: {holder} holds it",
            cure="wait until that pod is gone",
        )

    def _lost(self, lease: Lease | None) -> NotLeaderError:
        self._deadline = float("-inf")
        holder = (lease.holder if lease is not None else "") or "nobody"
        return NotLeaderError(f"cannot renew {self._what}: {holder} has it")


def _moved(first: Lease, now: Lease) -> bool:
    """Whether a holder was alive between the two."""
    return bool(now.holder) and first.spec != now.spec


def _wall_time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
