"""One of several controllers acts: it claims the release's Lease, renews it, and says when that has changed.

`main` runs it in a thread of its own; a controller that lost its claim stands by for the next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from assay.domain.errors import AssayError, NotLeaderError
from assay.kube.lease import KubernetesLease

_log = structlog.get_logger(__name__)


class Leading:
    """Claims and renews until it is stopped, and gives the claim back then."""

    def __init__(
        self,
        lease: KubernetesLease,
        stop: threading.Event,
        *,
        leads: Callable[[bool], None],
        broken: Callable[[BaseException], None],
    ) -> None:
        """Claims nothing yet.

        Args:
            lease: the claim; waits by the same `stop`.
            stop: ends everything here.
            leads: told, in this thread, whether we lead now.
            broken: told, in this thread, why we never can.
        """
        self._lease = lease
        self._stop = stop
        self._leads = leads
        self._broken = broken
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def start(self) -> None:
        """Begins to stand by."""
        self._thread.start()

    def end(self, seconds: float) -> None:
        """Gives the claim back; blocking, at most so long."""
        self._stop.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            while self._lease.stand_by():
                _log.info("leads", transitions=self._lease.transitions)
                self._leads(True)  # noqa: FBT003 - the only thing it is told
                self._renew()
                self._leads(False)  # noqa: FBT003 - as above
        except BaseException as error:  # noqa: BLE001 - nobody else would hear of it
            self._broken(error)
        finally:
            self._give_back()

    def _renew(self) -> None:
        """Returns when the claim is lost, or nobody wants it any more."""
        while not self._stop.wait(self._lease.renew_seconds):
            try:
                self._lease.renew()
            except NotLeaderError as error:
                _log.warning("leads no more", error=str(error))
                return
            except AssayError as error:
                # The deadline stands: a later renewal may still come in time.
                _log.warning("cannot renew the Lease", error=str(error))

    def _give_back(self) -> None:
        try:
            self._lease.release()
        except AssayError as error:
            _log.warning("cannot give the Lease back", error=str(error))
