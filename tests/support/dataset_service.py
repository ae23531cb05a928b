"""A dataset service in the test's own process, over a fresh cache; its children are real and sealed."""

from __future__ import annotations

from pathlib import Path

from assay.dataset.preparing import Preparer
from assay.dataset.service import DatasetService, PrepareRequest
from assay.dataset.sources.fetch import SourceFetcher
from assay.dataset.sources.limits import Patience
from assay.domain.prepared import PreparedRef, StageProgress
from assay.domain.run import PicturePolicy, SourceOverride
from assay.store.folder import FolderStore

QUICK = Patience(connect=2.0, stall=0.5, total=30.0, attempts=3, pause=0.01)


def make_service(
    cache: Path,
    *,
    lmu_data: Path | None = None,
    s3=None,
    preparer: Preparer | None = None,
):
    """The service and its store."""
    store = FolderStore(cache)
    service = DatasetService(
        store,
        SourceFetcher(store, partial=cache / "partial", s3=s3, patience=QUICK),
        preparer or Preparer(cache / "work"),
        locks=cache / "locks",
        lmu_data=[lmu_data] if lmu_data else [],
    )
    return service, store


def request(name: str, mirrors: dict[str, str] | None = None, **source: str):
    """What a caller asks for."""
    override = SourceOverride(**source) if source else None
    return PrepareRequest(
        name=name, source=override, pictures=PicturePolicy(), mirrors=mirrors or {}
    )


async def ready(
    service: DatasetService, wanted: PrepareRequest
) -> tuple[PreparedRef, list[StageProgress]]:
    """Follows a preparation to its end."""
    steps = [step async for step in service.prepare(wanted)]
    assert isinstance(steps[-1], PreparedRef)
    return steps[-1], [step for step in steps if isinstance(step, StageProgress)]
