"""Folders of runs as an aggregator leaves them, for tests of what finds them again."""

from __future__ import annotations

from pathlib import Path

from assay.domain.identity import spec_digest
from assay.domain.run import Run
from assay.store.spec import PinnedSpec, encode_pinned


def pin(folder: Path, run: Run, started: str = "2026-01-01T00:00:00Z") -> Path:
    """Makes the folder of an accepted run."""
    pinned = PinnedSpec(
        run_id=folder.name, started=started, spec_digest=spec_digest(run), run=run
    )
    (folder / ".assay").mkdir(parents=True, exist_ok=True)
    (folder / ".assay" / "spec.json").write_bytes(encode_pinned(pinned))
    return folder
