"""`report.html` and its pictures, written beside a run's results.

`local` calls `write_page` when a run has ended, `assay report --html` when somebody asks.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from assay.domain.errors import StoreUnavailableError
from assay.report.html import render_html
from assay.report.html_pictures import BUDGET_BYTES
from assay.report.html_prompts import StoredPrompts
from assay.store.objects import ObjectStore

PAGE = "report.html"


def write_page(
    run_dir: Path,
    store: ObjectStore,
    file: Path | None = None,
    *,
    picture_bytes: int | None = BUDGET_BYTES,
) -> Path:
    """Writes the page of a run, and its pictures into a folder beside it; returns the page's path.

    Args:
        run_dir: the run's folder.
        store: holds the prepared datasets; of those that are gone, prompts and pictures are missing.
        file: the page; None: `report.html` in `run_dir`.
        picture_bytes: the most the pictures may take; 0: none, None: all of them.

    Raises:
        CorruptError: the run's folder, or a dataset in the store, cannot be read.
        NotFoundError: the folder holds no run that ended.
        StoreUnavailableError: the page cannot be written, or the store not be read.
    """
    file = file or run_dir / PAGE
    beside = f"{file.stem}.pictures"
    page = render_html(
        run_dir, StoredPrompts(store), beside=beside, picture_bytes=picture_bytes
    )
    # Whole or not at all: a browser may have the old one open.
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        # Pictures first: the page names only what is there.
        page.album.write(file.parent / beside, store)
        temporary.write_bytes(page.html)
        temporary.replace(file)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise StoreUnavailableError(
            f"cannot write {error.filename or file}: {error.strerror or error}",
            cure="make room, or name a file that can be written: assay report RUN_DIR --html FILE",
        ) from error
    return file
