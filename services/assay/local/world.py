"""The world around a local run, as its driver sees it: parts, preparations, the last snapshot."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from assay.domain.actions import Service
from assay.domain.errors import AssayError, TransientError, UnavailableError
from assay.domain.observed import (
    UNPREPARED,
    Death,
    Ending,
    Observed,
    Preparation,
    PreparationState,
    Presence,
)
from assay.domain.restarts import progress_of
from assay.domain.run import PicturePolicy, Run
from assay.domain.snapshot import RunSnapshot
from assay.domain.task import TaskId
from assay.local.launch import Launch, scorer_role, worker_role
from assay.local.part import Part

_SCORER_SLOTS = 2
"""Scorers at a time: each needs a core and a few hundred megabytes."""


class World:
    """Everything a driver has seen; `observed` is what `decide` gets."""

    def __init__(
        self,
        run: Run,
        launch: Launch,
        changed: Callable[[], None],
        died: Callable[[str, Death], None],
        *,
        retry: bool,
    ) -> None:
        self._changed = changed
        self._died = died
        self._launch = launch
        self._retry_asked = retry
        self._preparations: dict[tuple[str, PicturePolicy], Preparation] = {}
        self._opened_by: int | None = None
        self._snapshot_at = 0.0
        self.snapshot: RunSnapshot | None = None
        self.retried = False
        self.drain = False
        self.fatal: AssayError | None = None
        self.services = {
            Service.DATASET: self._part("dataset", "assay.dataset.main", serves=True),
            Service.AGGREGATOR: self._part(
                "aggregator", "assay.aggregator.main", serves=True
            ),
        }
        self.workers = {
            model.key: self._part(
                worker_role(model.key), "assay.infer.main", serves=False
            )
            for model in run.models
        }
        self.scorers = {
            task: self._part(scorer_role(task), "assay.scorer.main", serves=False)
            for task in (
                TaskId(m.key, d.name) for m in run.models for d in run.datasets
            )
        }

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts, those first that depend on others."""
        return (
            *self.scorers.values(),
            *self.workers.values(),
            self.services[Service.DATASET],
            self.services[Service.AGGREGATOR],
        )

    @property
    def opened(self) -> bool:
        """Whether the present incarnation of the aggregator has accepted the run."""
        aggregator = self.services[Service.AGGREGATOR]
        return (
            aggregator.view.presence is Presence.READY
            and self._opened_by == aggregator.incarnation
        )

    @property
    def held(self) -> bool:
        """Whether the aggregator ended because another process has the run."""
        deaths = self.services[Service.AGGREGATOR].view.deaths
        return bool(deaths) and deaths[-1].ending is Ending.HELD

    def observed(self) -> Observed:
        """The world at this moment."""
        return Observed(
            now=time.monotonic(),
            opened=self.opened,
            snapshot=self.snapshot,
            snapshot_at=self._snapshot_at,
            services={name: part.view for name, part in self.services.items()},
            workers={name: part.view for name, part in self.workers.items()},
            scorers={task: part.view for task, part in self.scorers.items()},
            preparations=dict(self._preparations),
            going_on=self._launch.folder.going_on,
            retry_asked=self._retry_asked,
            retried=self.retried,
            drain=self.drain,
            early_workers=True,
            scorer_slots=_SCORER_SLOTS,
            fatal=str(self.fatal) if self.fatal else "",
        )

    def open_acknowledged(self, incarnation: int) -> None:
        """The aggregator's incarnation has accepted the run."""
        self._opened_by = incarnation

    def looked(self, snapshot: RunSnapshot) -> bool:
        """Takes a snapshot in, unless it is older than the last; says which."""
        last = self.snapshot
        if last and (snapshot.epoch, snapshot.version) < (last.epoch, last.version):
            return False
        self.snapshot = snapshot
        self._snapshot_at = time.monotonic()
        self._changed()
        return True

    def preparing(self, dataset: str, pictures: PicturePolicy) -> None:
        """A preparation is under way."""
        self._prepare(dataset, pictures, state=PreparationState.PREPARING)

    def prepared(self, dataset: str, pictures: PicturePolicy, digest: str) -> None:
        """A dataset is ready."""
        self._prepare(dataset, pictures, state=PreparationState.READY, digest=digest)

    def not_prepared(
        self, dataset: str, pictures: PicturePolicy, error: AssayError
    ) -> None:
        """A preparation failed, or the service went away in the middle of it."""
        if isinstance(error, UnavailableError):
            self._prepare(dataset, pictures, state=PreparationState.NONE)
            return
        failures = self._preparations.get((dataset, pictures), UNPREPARED).failures
        self._prepare(
            dataset,
            pictures,
            state=PreparationState.FAILED,
            reason=error.reason,
            message=str(error),
            transient=isinstance(error, TransientError),
            failures=failures + 1,
            failed_at=time.monotonic(),
        )

    def progress(self) -> int:
        """How far the run has come, as one number."""
        ready = [
            p for p in self._preparations.values() if p.state is PreparationState.READY
        ]
        return progress_of(self.snapshot, len(ready))

    def _prepare(self, dataset: str, pictures: PicturePolicy, **fields: object) -> None:
        key = (dataset, pictures)
        before = self._preparations.get(key, UNPREPARED)
        self._preparations[key] = replace(before, **fields)  # type: ignore[arg-type]
        self._changed()

    def _part(self, role: str, module: str, *, serves: bool) -> Part:
        return Part(
            module=module,
            journal=self._launch.journal(role),
            serves=serves,
            changed=self._changed,
            progress=self.progress,
            died=lambda death: self._died(role, death),
        )
