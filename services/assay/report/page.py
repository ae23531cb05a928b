"""`report.html` and its pictures, written beside a run's results.

`local` calls `write_page` when a run has ended, `assay report --html` when somebody asks.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from shutil import rmtree

from assay.report.html import render_html
from assay.report.html_pictures import BUDGET_BYTES
from assay.report.html_prompts import StoredPrompts
from assay.report.whole import whole
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
    pictures = file.with_name(f"{file.stem}.pictures")
    page = render_html(
        run_dir, StoredPrompts(store), beside=pictures.name, picture_bytes=picture_bytes
    )
    with ExitStack() as undo:
        if not pictures.exists():
            undo.callback(rmtree, pictures, ignore_errors=True)
        # Whole or not at all: a browser may have the old one open.
        with whole(file) as path:
            path.write_bytes(page.html)
            # Before the page is there: it names only what is.
            page.album.write(pictures, store)
        undo.pop_all()
    return file
