"""One execution of an EvalRun as its services know it: what was called, what they said last.

A run's loop makes one for each execution and forgets it with the next; a controller that begins anew makes
it anew, opens the run again, and learns everything from what the aggregator and the dataset service say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import structlog

from assay.controller.evalrun import Request
from assay.domain.actions import Action, OpenRun, Service
from assay.domain.errors import AssayError, NotFoundError
from assay.domain.observed import Observed, PartView, Presence
from assay.domain.prepared import StageProgress
from assay.domain.report import RunState
from assay.domain.snapshot import RunSnapshot
from assay.driving.asking import Asking, Clients
from assay.driving.calls import Calls
from assay.driving.known import Known
from assay.driving.notices import Troubles, news

WATCH_SECONDS = 1.0
"""Between snapshots of a run that goes on."""

_OPEN_AGAIN_SECONDS = 60.0
"""A run that the aggregator refused is offered to it again, in case the reason was not in its spec."""

_THERE = PartView(presence=Presence.READY, count=1)
"""A service of the platform: its pods are the cluster's business, and calls are repeated until they land."""

_log = structlog.get_logger(__name__)


class _Journal:
    """Tells how preparations go where a person looks for it: in the controller's log."""

    def __init__(self, run_id: str) -> None:
        self._log = _log.bind(run=run_id)

    def preparing(self, dataset: str, step: StageProgress) -> None:
        """See Hearer: too often for a log."""

    def prepared(self, dataset: str, sample_count: int) -> None:
        """See Hearer."""
        self._log.info("dataset ready", dataset=dataset, samples=sample_count)


class Execution:
    """Calls about one execution and what is known of it."""

    def __init__(
        self,
        request: Request,
        clients_of: Callable[[str], Clients],
        *,
        adopts: Sequence[str],
        changed: Callable[[], None],
    ) -> None:
        """Calls nobody yet.

        Args:
            request: what is executed.
            clients_of: whom to call about the execution of that id.
            adopts: former executions of the same EvalRun, newest first.
            changed: called whenever something was learnt.
        """
        self.request = request
        self.known = Known(changed)
        self._clients_of = clients_of
        self._client = clients_of(request.run_id).run
        self._adopts = tuple(adopts)
        self._changed = changed
        self._calls = Calls(changed, self._cannot)
        self._asking = Asking(
            request.run,
            clients_of(request.run_id),
            self.known,
            self._calls,
            hearer=_Journal(request.run_id),
            looked=self._looked,
        )
        self._troubles = Troubles()
        self._opened: int | None = None
        self._refused_at = 0.0
        self.problem = ""
        self.reason = ""
        """The machine word of the problem."""
        self.found = False
        """Whether it had ended before it was first opened here."""

    @property
    def opened(self) -> bool:
        """Whether the aggregator's present incarnation has accepted the run as it is asked for now."""
        snapshot = self.known.snapshot
        return (
            snapshot is not None
            and snapshot.epoch == self._opened
            # Somebody closed it: it is the current one, and goes on.
            and snapshot.state is not RunState.SUPERSEDED
        )

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        snapshot = self.known.snapshot
        return (
            snapshot is not None
            and self.opened
            and snapshot.state is not RunState.RUNNING
        )

    def observed(self, **of_cluster: object) -> Observed:
        """The world at this moment.

        Args:
            of_cluster: the fields of `Observed` that Jobs and pods say.
        """
        return Observed(
            now=time.monotonic(),
            opened=self.opened,
            snapshot=self.known.snapshot,
            snapshot_at=self.known.snapshot_at,
            services=dict.fromkeys(Service, _THERE),
            preparations=self.known.preparations,
            early_workers=False,
            fatal=self._fatal,
            **of_cluster,  # type: ignore[arg-type]  # by name
        )

    def make_calls(self, actions: Iterable[Action]) -> None:
        """Makes the calls among some actions, and has snapshots come."""
        if self.opened and not self.final:
            self._asking.follow(WATCH_SECONDS)
        for action in actions:
            if isinstance(action, OpenRun):
                self._asking.call(action, self._open)
            elif self.opened:
                # Before that nobody knows which datasets are still waited for.
                self._asking.make(action)

    async def end(self) -> None:
        """Ends every call that is under way; what was asked of services goes on there."""
        await self._calls.cancel()

    @property
    def _fatal(self) -> str:
        again = self._refused_at + _OPEN_AGAIN_SECONDS
        if self._opened is None and time.monotonic() >= again:
            return ""
        return self.problem

    async def _open(self) -> RunSnapshot:
        first = self.known.snapshot is None
        snapshot = await self._accepted()
        self._opened, self.problem, self.reason = snapshot.epoch, "", ""
        self.found = (first and snapshot.state is not RunState.RUNNING) or self.found
        _log.info("run opened", run=self.request.run_id, epoch=snapshot.epoch)
        return snapshot

    async def _accepted(self) -> RunSnapshot:
        run, client = self.request.run, self._client
        try:
            return await client.open(run, adopts=self._adopts, keep_ended=True)
        except NotFoundError:
            if not self._adopts:
                raise
        # Somebody removed one of them from the store: what it answered is gone.
        self._adopts = tuple([a for a in self._adopts if await self._is_there(a)])
        named = self.request.answers_of
        if named and named not in self._adopts:
            raise NotFoundError(
                f"cannot go on from the answers of {named}: this release has no such execution",
                cure="name one that `assay list` or the status of its EvalRun shows",
            )
        return await client.open(run, adopts=self._adopts, keep_ended=True)

    async def _is_there(self, run_id: str) -> bool:
        try:
            await self._clients_of(run_id).run.get()
        except NotFoundError:
            _log.warning("nothing to adopt from", run=self.request.run_id, of=run_id)
            return False
        return True

    def _looked(self, snapshot: RunSnapshot) -> None:
        before = self.known.snapshot
        if not self.known.looked(snapshot):
            return
        told = news(self.request.run, before, snapshot)
        for sentence in (*self._troubles.news(snapshot), *told):
            _log.warning("noticed", run=self.request.run_id, what=sentence)

    def _cannot(self, error: AssayError) -> None:
        _log.error("cannot go on", run=self.request.run_id, error=str(error))
        self.problem, self.reason = str(error), error.reason
        self._refused_at = time.monotonic()
        self._changed()
