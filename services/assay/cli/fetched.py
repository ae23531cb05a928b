"""A run's result as a folder: the run's own, or one into which it is fetched from the cluster."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from assay.cli.cluster import in_cluster
from assay.cli.errors import on_one_line

if TYPE_CHECKING:
    from assay.cluster.place import Place


@contextmanager
def result_folder(
    run: str, place: Callable[[], Place], keep: Path | None, *, whole: bool
) -> Iterator[Path]:
    """The folder that holds the report of a run, and with `whole` its tables as well.

    Args:
        run: a folder, or a run's name in the cluster.
        place: where to look for that; asked only then.
        keep: what is fetched goes there, whole, and stays; None: it goes again.
        whole: the tables are needed, too.

    Raises:
        NotFoundError: there is no such run, or nothing of it to fetch yet.
        AssayError: the cluster or the aggregator cannot be reached or refuses.
    """
    if not in_cluster(run):
        yield Path(run)
        return
    if keep is not None:
        _fetch(place(), run, keep, whole=True)
        typer.echo(f"wrote {keep}", err=True)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        _fetch(place(), run, Path(folder), whole=whole)
        yield Path(folder)


def _fetch(here: Place, name: str, folder: Path, *, whole: bool) -> None:
    from assay.cluster.commands import begun  # noqa: PLC0415 - once it is needed
    from assay.cluster.results import REPORT, fetch_results  # noqa: PLC0415
    from assay.cluster.session import session_with  # noqa: PLC0415

    item, release = begun(here, name)

    async def fetch() -> None:
        async with session_with(here, release) as session:
            await fetch_results(
                session,
                item.status.run_id,
                folder,
                only=() if whole else (REPORT,),
                on_file=_say if whole else _say_nothing,
            )

    asyncio.run(fetch())


def _say(path: str) -> None:
    typer.echo(on_one_line(f"fetching {path}"), err=True)


def _say_nothing(_path: str) -> None:
    """One small file is no news."""
