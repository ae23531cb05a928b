"""A run's result as a folder: the run's own, or one into which it is fetched from the cluster."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from assay.cli.cluster import in_cluster
from assay.cli.errors import on_one_line

if TYPE_CHECKING:
    from assay.cluster.place import Place
    from assay.cluster.releases import Release


@dataclass(frozen=True, slots=True)
class Fetching:
    """What of a run in the cluster is fetched, and where to.

    Attributes:
        whole: its tables, too.
        page: the page and its pictures, too, which stay.
        keep: a folder for all of it, which stays; None: one named after the execution for a page, else it
            goes again.
        execution: which; None: the current one.
    """

    whole: bool
    page: bool = False
    keep: Path | None = None
    execution: str | None = None


@contextmanager
def result_folder(
    run: str, place: Callable[[], Place], how: Fetching
) -> Iterator[Path]:
    """The folder that holds the report of a run, and with `whole` its tables as well.

    Args:
        run: a folder, or a run's name in the cluster.
        place: where to look for that; asked only then.
        how: what is fetched of it.

    Raises:
        NotFoundError: there is no such run, or nothing of it to fetch yet.
        AssayError: the cluster or the aggregator cannot be reached or refuses.
    """
    if not in_cluster(run):
        yield Path(run)
        return
    from assay.cluster.commands import begun, execution_of  # noqa: PLC0415 - once it is needed

    here = place()
    item, release = begun(here, run)
    run_id = execution_of(item, how.execution)
    keep = how.keep or (Path(run_id) if how.page else None)
    with ExitStack() as stack:
        if keep is None:
            made = tempfile.TemporaryDirectory(prefix="assay-")
            folder = Path(stack.enter_context(made))
        else:
            folder = keep
        _fetch(here, release, run_id, folder, how)
        if keep is not None:
            typer.echo(f"wrote {keep}", err=True)
        yield folder


def _fetch(
    here: Place, release: Release, run_id: str, folder: Path, how: Fetching
) -> None:
    from assay.cluster.results import REPORT, fetch_results  # noqa: PLC0415 - as above
    from assay.cluster.session import session_with  # noqa: PLC0415

    whole = how.whole or how.page or how.keep is not None

    async def fetch() -> None:
        async with session_with(here, release) as session:
            await fetch_results(
                session,
                run_id,
                folder,
                only=() if whole else (REPORT,),
                page=how.page or how.keep is not None,
                on_file=_say if whole else _say_nothing,
            )

    asyncio.run(fetch())


def _say(path: str) -> None:
    typer.echo(on_one_line(f"fetching {path}"), err=True)


def _say_nothing(_path: str) -> None:
    """One small file is no news."""
