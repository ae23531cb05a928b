"""Has the page of every run that ended drawn, one at a time, by a process of its own.

Drawing takes libraries, memory and seconds that the aggregator owes to its workers. On one machine the driver
draws it into the run's folder; in a bucket nobody else does. A page that fails costs the page alone.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

import structlog

from assay.process.configs import AggregatorConfig, PageConfig
from assay.process.contract import S3StoreConfig, document_of

_SECONDS = 600.0
_log = structlog.get_logger(__name__)


class Pages:
    """Starts `assay.aggregator.page` for one run after the other."""

    def __init__(self, config: AggregatorConfig, spool: Path) -> None:
        """Starts nothing yet.

        Args:
            config: the aggregator's: names the store.
            spool: an empty folder.
        """
        self._config = config
        self._spool = spool
        self._wanted: dict[str, None] = {}
        self._drawing: asyncio.Task[None] | None = None

    def draw(self, run_id: str) -> None:
        """Has a run's page drawn, after those that were asked for before."""
        if not isinstance(self._config.store, S3StoreConfig):
            return
        self._wanted[run_id] = None
        if self._drawing is None or self._drawing.done():
            self._drawing = asyncio.create_task(self._draw_all())

    async def stop(self) -> None:
        """Ends what is being drawn: the next aggregator sees what is missing."""
        if self._drawing is not None:
            self._drawing.cancel()
            with suppress(asyncio.CancelledError):
                await self._drawing

    async def _draw_all(self) -> None:
        while self._wanted:
            run_id = next(iter(self._wanted))
            del self._wanted[run_id]
            try:
                code = await self._drawn(run_id)
            except (OSError, TimeoutError) as error:
                _log.warning("page not drawn", run_id=run_id, error=repr(error))
            else:
                _log.info("page drawn" if not code else "page not drawn", run_id=run_id)

    async def _drawn(self, run_id: str) -> int:
        """The exit code of the process that drew a run's page."""
        config = PageConfig(
            store=self._config.store,
            run_id=run_id,
            spool=self._spool,
            token=self._config.token,
            token_file=self._config.token_file,
            die_with_parent=True,
        )
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "assay.aggregator.page",
                "--config-fd",
                str(reading),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(reading,),
            )
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        # Smaller than what a pipe holds.
        with suppress(BrokenPipeError), os.fdopen(writing, "wb") as stream:
            stream.write(document_of(config))
        try:
            async with asyncio.timeout(_SECONDS):
                return await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
