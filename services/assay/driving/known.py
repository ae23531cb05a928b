"""What a driver has been told of a run by its services: the last snapshot, and how far datasets are."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from assay.domain.errors import AssayError, TransientError, UnavailableError
from assay.domain.observed import UNPREPARED, Preparation, PreparationState
from assay.domain.restarts import progress_of
from assay.domain.run import PicturePolicy
from assay.domain.snapshot import RunSnapshot

DatasetKey = tuple[str, PicturePolicy]


class Known:
    """Goes into `Observed` as it is; a driver that begins anew knows nothing, and asks again."""

    def __init__(self, changed: Callable[[], None]) -> None:
        """Knows nothing yet.

        Args:
            changed: called after each thing that was learnt.
        """
        self._changed = changed
        self._preparations: dict[DatasetKey, Preparation] = {}
        self.snapshot: RunSnapshot | None = None
        self.snapshot_at = 0.0

    @property
    def preparations(self) -> Mapping[DatasetKey, Preparation]:
        """How far each dataset is under each picture policy."""
        return dict(self._preparations)

    def looked(self, snapshot: RunSnapshot) -> bool:
        """Takes a snapshot in, unless it is older than the last; says which."""
        last = self.snapshot
        if last and (snapshot.epoch, snapshot.version) < (last.epoch, last.version):
            return False
        self.snapshot = snapshot
        self.snapshot_at = time.monotonic()
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

    def forgive(self) -> None:
        """Forgets preparations that failed: they are tried again."""
        self._preparations = {
            key: known
            for key, known in self._preparations.items()
            if known.state is not PreparationState.FAILED
        }

    def progress(self) -> int:
        """How far the run has come, as one number."""
        states = [p.state for p in self._preparations.values()]
        return progress_of(self.snapshot, states.count(PreparationState.READY))

    def _prepare(self, dataset: str, pictures: PicturePolicy, **fields: object) -> None:
        key = (dataset, pictures)
        before = self._preparations.get(key, UNPREPARED)
        self._preparations[key] = replace(before, **fields)  # type: ignore[arg-type]
        self._changed()
