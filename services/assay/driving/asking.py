"""The calls that `decide` asks a driver for, the same for every driver.

Drivers open and retry runs each in their own way; what is called once a run is open is here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from assay.domain.actions import (
    Action,
    AttachDataset,
    FailDataset,
    FinishRun,
    PrepareDataset,
)
from assay.domain.errors import (
    AssayError,
    NotFoundError,
    TransientError,
    UnavailableError,
)
from assay.domain.prepared import StageProgress
from assay.domain.run import Run
from assay.domain.snapshot import RunSnapshot
from assay.driving.calls import Calls
from assay.driving.known import Known

if TYPE_CHECKING:
    # Importing grpc takes as long as a service needs to listen: a local driver starts services first.
    from assay.rpc.dataset_client import DatasetClient
    from assay.rpc.run_client import RunClient


@dataclass(frozen=True, slots=True)
class Clients:
    """One client for each service that a driver calls."""

    run: RunClient
    dataset: DatasetClient


class Hearer(Protocol):
    """Who tells people how a run goes."""

    def preparing(self, dataset: str, step: StageProgress) -> None:
        """How far a dataset is."""
        ...

    def prepared(self, dataset: str, sample_count: int) -> None:
        """A dataset is ready."""
        ...


class Asking:
    """Calls about one run; what comes back goes into `Known`."""

    def __init__(
        self,
        run: Run,
        clients: Clients,
        known: Known,
        calls: Calls,
        *,
        hearer: Hearer,
        looked: Callable[[RunSnapshot], None],
    ) -> None:
        """Calls nobody yet.

        Args:
            run: what is driven.
            clients: whom to call.
            known: where answers go.
            calls: runs each call at most once at a time.
            hearer: told how preparations go.
            looked: told of each snapshot; has `known` take it in.
        """
        self._run = run
        self._clients = clients
        self._known = known
        self._calls = calls
        self._hearer = hearer
        self._looked = looked

    def make(self, action: Action) -> bool:
        """Makes the call of an action unless it is under way or paused; False: it means none of ours."""
        client = self._clients.run
        match action:
            case PrepareDataset():
                self._calls.make(action, lambda: self._prepare(action))
            case AttachDataset(dataset, models, digest):
                self.call(
                    action,
                    lambda: client.attach_dataset(
                        dataset, models=models, digest=digest
                    ),
                )
            case FailDataset(dataset, models, reason, message):
                self.call(
                    action,
                    lambda: client.fail_dataset(
                        dataset, models=models, reason=reason, message=message
                    ),
                )
            case FinishRun(failure):
                self.call("finish", lambda: client.finish(failure))
            case _:
                return False
        return True

    def call(self, name: object, call: Callable[[], Awaitable[RunSnapshot]]) -> None:
        """Makes a call that answers with the run as it is then."""

        async def made() -> None:
            self._looked(await call())

        self._calls.make(name, made)

    def follow(self, interval: float) -> None:
        """Has snapshots come, at most every `interval` seconds, for as long as the run goes on."""
        self._calls.make("watch", lambda: self._follow(interval))

    async def _follow(self, interval: float) -> None:
        heard = False
        try:
            async for snapshot in self._clients.run.watch(interval):
                heard = True
                self._looked(snapshot)
        except (TransientError, NotFoundError):
            # Either way its successor is asked as soon as it has accepted the run.
            if not heard:
                raise UnavailableError("the aggregator went away") from None

    async def _prepare(self, action: PrepareDataset) -> None:
        name, pictures, run = action.dataset, action.pictures, self._run
        asked = next(dataset for dataset in run.datasets if dataset.name == name)
        self._known.preparing(name, pictures)
        try:
            ready = await self._clients.dataset.prepare(
                name,
                asked.source,
                pictures,
                run.mirrors,
                lambda step: self._hearer.preparing(name, step),
                member_sources={m.name: m.source for m in asked.members if m.source},
            )
        except AssayError as error:
            self._known.not_prepared(name, pictures, error)
            if isinstance(error, UnavailableError):
                # The service went away: it is asked again after a pause.
                raise
        else:
            self._known.prepared(name, pictures, ready.digest)
            self._hearer.prepared(name, ready.sample_count)
