"""Keeps a copy of one kind of objects up to date: list, then watch, for as long as the process lives.

The controller runs one `ResourceWatch` per kind in a thread of its own and decides by what it holds. It is
built for API servers that misbehave: every way in which a watch can end leads through one wait that grows,
a stream that says nothing is given up, a forgotten version is listed anew with what was missed made up for.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

import structlog

from assay.domain.errors import AssayError, TransientError
from assay.kube.api import KubeApi, Watch
from assay.kube.backoff import Backoff
from assay.kube.mirror import Change, Key, Mirror
from assay.kube.objects import KubeObject, T
from assay.kube.refusals import GoneError
from assay.kube.resources import Resource

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Pace:
    """Seconds.

    Attributes:
        stream: the server is asked to end a watch after that long, up to a fifth more.
        patience: a watch without an event or a bookmark for that long is broken; the server sends a
            bookmark each minute.
        lived: a watch that lasted so long was a good one: the next wait is the first again.
        relist: everything is listed anew after that long, in case an event was lost.
        first_wait: after a watch that did not live.
        longest_wait: as they double; two attempts a minute are left in the long run.
    """

    stream: float = 300.0
    patience: float = 150.0
    lived: float = 10.0
    relist: float = 1800.0
    first_wait: float = 1.0
    longest_wait: float = 45.0


@dataclass(frozen=True)
class Selection:
    """Which objects are watched.

    Attributes:
        resource: their kind.
        namespace: None: all of them.
        labels: a selector; empty: all.
    """

    resource: Resource
    namespace: str | None = None
    labels: str = ""


class ResourceWatch(Generic[T]):
    """A copy of the selected objects; `run` in one thread, everything else from any."""

    def __init__(
        self,
        api: KubeApi,
        selection: Selection,
        of: type[T],
        *,
        on_change: Callable[[Change[T]], None],
        on_restart: Callable[[str], None] = lambda _reason: None,
        pace: Pace = Pace(),
        clock: Callable[[], float] = time.monotonic,
        stop: threading.Event | None = None,
    ) -> None:
        """Asks for nothing yet.

        Args:
            api: whom to ask.
            selection: what to watch.
            of: what to decode each object into.
            on_change: told of each change, in order, in the thread of `run`, after the copy has it.
            on_restart: told why a watch ended, in one word, for metrics.
            pace: how long and how often.
            clock: seconds that never go back.
            stop: ends the waits between watches, and then `run`; None: `stop` alone does.
        """
        self._api = api
        self._selection = selection
        self._of = of
        self._on_change = on_change
        self._on_restart = on_restart
        self._pace = pace
        self._clock = clock
        self._backoff = Backoff(pace.first_wait, pace.longest_wait)
        self._mirror: Mirror[T] = Mirror()
        # Guards the mirror and which watch is the current one.
        self._lock = threading.Lock()
        self._stop = stop or threading.Event()
        self._synced = threading.Event()
        self._current: Watch | None = None
        self._heard = clock()
        self._listed: float | None = None
        self._streaming: float | None = None
        self._problem: AssayError | None = None

    # What the copy says.

    def get(self, key: Key) -> T | None:
        """An object by namespace and name; None: there is none, as far as is known."""
        with self._lock:
            return self._mirror.get(key)

    def items(self) -> list[T]:
        """All objects."""
        with self._lock:
            return self._mirror.items()

    def wrote(self, written: KubeObject) -> None:
        """To be told of each write of ours: see `trusted`."""
        with self._lock:
            self._mirror.wrote(written)

    def deleted(self, key: Key, uid: str) -> None:
        """To be told of each deletion of ours: see `trusted`."""
        with self._lock:
            self._mirror.deleted(key, uid)

    def trusted(self, key: Key) -> bool:
        """Whether the copy has our own last write of that object; do nothing about it before."""
        with self._lock:
            return self._mirror.trusted(key)

    @property
    def all_trusted(self) -> bool:
        """Whether that holds of every object."""
        with self._lock:
            return self._mirror.all_trusted

    @property
    def synced(self) -> bool:
        """Whether everything was listed once and `on_change` told of it."""
        return self._synced.is_set()

    def await_synced(self, seconds: float) -> bool:
        """Waits for that; False: not in time."""
        return self._synced.wait(seconds)

    @property
    def quiet_seconds(self) -> float:
        """How long ago the server last said anything: how old the copy may be."""
        return self._clock() - self._heard

    @property
    def problem(self) -> AssayError | None:
        """Why there is no watch at this moment; None: there is one, or it only just ended."""
        return self._problem

    # How it is kept.

    def run(self) -> None:
        """Lists and watches until `stop`. What `on_change` raises ends it: nobody hears it any more."""
        while not self._stop.is_set():
            reason, asked = self._round()
            if self._stop.is_set():
                return
            self._on_restart(reason)
            began = self._streaming
            if began is not None and self._clock() - began >= self._pace.lived:
                self._backoff.reset()
                if reason == "ended":
                    continue
            self._stop.wait(self._backoff.next(asked))

    def stop(self) -> None:
        """Ends `run` at once."""
        self._stop.set()
        with self._lock:
            if self._current is not None:
                self._current.close()

    def _round(self) -> tuple[str, float]:
        """Lists if need be and watches to the end; returns why it ended and the wait the server asks for."""
        self._streaming = None
        try:
            if self._list_is_due():
                self._list()
            self._follow()
        except GoneError:
            self._listed = None
            return "gone", 0.0
        except AssayError as error:
            if not self._stop.is_set():
                self._problem = error
                _log.warning(
                    "watch broken",
                    resource=str(self._selection.resource),
                    error=str(error),
                )
            asked = error.retry_after if isinstance(error, TransientError) else None
            return error.reason.lower(), asked or 0.0
        return "ended", 0.0

    def _list_is_due(self) -> bool:
        return self._listed is None or self._clock() - self._listed >= self._pace.relist

    def _list(self) -> None:
        with self._lock:
            began = self._mirror.listing()
        chosen = self._selection
        listing = self._api.list(
            chosen.resource, chosen.namespace, of=self._of, labels=chosen.labels
        )
        with self._lock:
            changes = self._mirror.replaced(
                listing.items, listing.resource_version, began
            )
        self._listed = self._heard = self._clock()
        self._tell(changes)
        self._synced.set()

    def _follow(self) -> None:
        chosen = self._selection
        watch = self._api.watch(
            chosen.resource,
            chosen.namespace,
            of=self._of,
            since=self._mirror.version,
            labels=chosen.labels,
            # Many watches that began together do not end together.
            seconds=round(self._pace.stream * (1 + random.random() / 5)),  # noqa: S311
            patience=self._pace.patience,
        )
        with self._lock:
            self._current = watch
            if self._stop.is_set():
                watch.close()
        self._streaming = self._heard = self._clock()
        self._problem = None
        try:
            for event in watch:
                self._heard = self._clock()
                with self._lock:
                    changes = self._mirror.applied(event)
                self._tell(changes)
        finally:
            with self._lock:
                self._current = None

    def _tell(self, changes: list[Change[T]]) -> None:
        for change in changes:
            self._on_change(change)
