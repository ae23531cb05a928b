"""The page of a run that ended: `local.run` has it written, so that it is never older than the results."""

from __future__ import annotations

from pathlib import Path

from assay.domain.errors import AssayError
from assay.local.listener import Listener


def write_page_of(run_dir: Path, cache: Path, listener: Listener) -> None:
    """Writes `report.html`; where it cannot be written, `listener` hears why, the results stand."""
    # Drawing a page takes libraries that no run needs before its end.
    from assay.report.page import write_page  # noqa: PLC0415
    from assay.store.folder import FolderStore  # noqa: PLC0415

    try:
        write_page(run_dir, FolderStore(cache))
    except Exception as error:  # noqa: BLE001 - the results stand, whatever drawing them meets
        why = error.message if isinstance(error, AssayError) else repr(error)
        listener.noticed(
            f"the results are kept, but their page could not be written: {why};"
            f" assay report {run_dir} --html writes it"
        )
