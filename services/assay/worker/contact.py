"""Whether the aggregator can be heard: shared by everything in a worker that calls it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from assay.domain.errors import (
    AssayError,
    StoreFullError,
    UnauthenticatedError,
    UnavailableError,
)
from assay.worker.backoff import reconnect_delay

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Every duration of the lease loop, in seconds.

    Attributes:
        lease_wait: how long a call for work may wait for a first sample.
        ahead: work held beyond what is in flight, as time at the present rate.
        flush: how long a completion may wait for company before it is committed.
        reconnect_first, reconnect_most: between calls to an aggregator that is away.
        patience: without an answer of the aggregator for this long the worker goes.
        probe_first, probe_most: between probes of an endpoint that is down.
        farewell: for the last commits and the release, once draining has ended.
    """

    lease_wait: float = 10.0
    ahead: float = 5.0
    flush: float = 0.1
    reconnect_first: float = 0.2
    reconnect_most: float = 5.0
    patience: float = 600.0
    probe_first: float = 0.5
    probe_most: float = 10.0
    farewell: float = 10.0


class Contact:
    """Counts failures, says how long to wait, and gives up when patience ends."""

    def __init__(self, timing: Timing, clock: Callable[[], float]) -> None:
        self._timing = timing
        self._clock = clock
        self._heard = clock()
        self._away = False
        self.reannounce = False
        """It was away, and may be another incarnation: leases must be announced before the next one."""

    def heard(self) -> None:
        """It answered."""
        if self._away:
            _log.info("the aggregator answers again")
        self._heard = self._clock()
        self._away = False

    def failed(self, error: AssayError, failures: int) -> float:
        """A call failed for the `failures`th time in a row; returns the seconds to wait.

        Raises:
            UnauthenticatedError: this worker was started wrongly.
            UnavailableError: nothing was heard for longer than patience lasts.
        """
        if isinstance(error, UnauthenticatedError):
            raise error
        if isinstance(error, StoreFullError):
            # It is there and says what is wrong; answers are kept until there is room.
            self._heard = self._clock()
        silent = self._clock() - self._heard
        if silent > self._timing.patience:
            raise UnavailableError(
                f"no answer of the aggregator for {silent:.0f} s: {error.message}",
                cure="start it again; this worker's unacknowledged samples will be asked again",
            ) from error
        if not self._away:
            _log.warning("the aggregator is away", error=str(error))
        self._away = self.reannounce = True
        first, most = self._timing.reconnect_first, self._timing.reconnect_most
        return reconnect_delay(failures, first, most, random.random())  # noqa: S311 - jitter
