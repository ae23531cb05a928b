"""The process that draws the page of one run: it reads the results from the store, the page goes beside them.

`pages` starts it. The page names only what is there: its pictures are stored before it is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from assay.domain.errors import AssayError, ConfigError
from assay.process.configs import PageConfig
from assay.process.contract import ExitCode, load_config
from assay.report.page import PAGE, write_page
from assay.store import keys
from assay.store.objects import ObjectStore
from assay.store.opened import open_store
from assay.telemetry.log import set_up_logging

_PICTURE_BYTES = 64 * 1024 * 1024
"""All of a page's: who wants more has them drawn from a copy of the run's folder."""
_PIECE_BYTES = 8 * 1024 * 1024
_NICE = 10

_log = structlog.get_logger(__name__)


def draw(store: ObjectStore, run_id: str, spool: Path) -> None:
    """Puts a run's page, and its pictures, into the store.

    Raises:
        AssayError: the results cannot be read, or the page not be stored.
    """
    prefix = keys.result(run_id, "")
    with TemporaryDirectory(dir=spool) as folder:
        run_dir = Path(folder)
        for key in store.list(prefix):
            name = key.removeprefix(prefix)
            if name == "report.json" or name.startswith("samples/"):
                _fetch(store, key, run_dir / name)
        page = write_page(run_dir, store, picture_bytes=_PICTURE_BYTES)
        pictures = page.with_name(f"{page.stem}.pictures")
        for picture in sorted(path for path in pictures.rglob("*") if path.is_file()):
            store.put_file(prefix + str(picture.relative_to(run_dir)), picture)
        store.put_file(prefix + PAGE, page)


def _fetch(store: ObjectStore, key: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        for start in range(0, store.size(key) or 0, _PIECE_BYTES):
            stream.write(store.get_range(key, start, _PIECE_BYTES))


def main() -> ExitCode:
    """Draws it; the results stand, whatever drawing them meets."""
    try:
        config = load_config(PageConfig)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.BAD_CONFIG
    set_up_logging("page", file=config.log_file)
    os.nice(_NICE)
    try:
        draw(open_store(config.store), config.run_id, config.spool)
    except (AssayError, OSError) as error:
        _log.warning("page not drawn", run_id=config.run_id, error=str(error))
        return ExitCode.FAILED
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
