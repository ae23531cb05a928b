"""What a driver tells whoever watches it: the command line draws it, a script may ignore it."""

from __future__ import annotations

from pathlib import Path

from assay.domain.prepared import StageProgress
from assay.domain.run import Run
from assay.domain.snapshot import RunSnapshot


class Listener:
    """Hears everything and does nothing; overridden where something is to be shown."""

    def started(self, run: Run, run_id: str, run_dir: Path, *, going_on: bool) -> None:
        """The run's folder is there and its services are about to start."""

    def preparing(self, dataset: str, step: StageProgress) -> None:
        """A dataset has come further."""

    def prepared(self, dataset: str, sample_count: int) -> None:
        """A dataset is ready."""

    def looked(self, snapshot: RunSnapshot) -> None:
        """The aggregator said where the run is."""

    def noticed(self, sentence: str) -> None:
        """Something a person should know, once."""

    def draining(self) -> None:
        """The first request to stop has come."""
