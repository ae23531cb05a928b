"""The world around a local run, as its driver sees it: parts, preparations, the last snapshot."""

from __future__ import annotations

import time
from collections.abc import Callable

from assay.domain.actions import Service
from assay.domain.errors import AssayError
from assay.domain.judge import judges_of
from assay.domain.observed import Death, Ending, Observed, Presence
from assay.domain.run import Run
from assay.domain.task import TaskId
from assay.driving.known import Known
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
        self._opened_by: int | None = None
        self.known = Known(changed)
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
            for model in (*run.models, *judges_of(run))
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
            snapshot=self.known.snapshot,
            snapshot_at=self.known.snapshot_at,
            services={name: part.view for name, part in self.services.items()},
            workers={name: part.view for name, part in self.workers.items()},
            scorers={task: part.view for task, part in self.scorers.items()},
            preparations=self.known.preparations,
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

    def _part(self, role: str, module: str, *, serves: bool) -> Part:
        return Part(
            module=module,
            journal=self._launch.journal(role),
            serves=serves,
            changed=self._changed,
            progress=self.known.progress,
            died=lambda death: self._died(role, death),
        )
