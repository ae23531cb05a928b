"""`assay datasets export` and `import`: raw datasets for a machine without network, in one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from assay.cli.errors import told
from assay.cli.sizes import in_words
from assay.domain.prepared import PrepareStage, StageProgress
from assay.local.listener import Listener


def export(
    names: Annotated[list[str], typer.Argument(metavar="NAME")],
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where to write it.")
    ],
) -> None:
    """Write fetched datasets into one file, to be imported elsewhere.

    It holds the raw files and their digests. Where there is no network, `assay datasets import` takes
    it in, and runs prepare the datasets from it.
    """
    with told():
        from assay.cli.progress import progress  # noqa: PLC0415 - once it is needed
        from assay.dataset import bundle  # noqa: PLC0415
        from assay.dataset.holdings import Holdings  # noqa: PLC0415
        from assay.local.launch import cache_folder  # noqa: PLC0415

        with progress() as listener:
            packed = bundle.export(
                Holdings(cache_folder()), names, output, _moving(output, listener)
            )
        for each in packed:
            typer.echo(f"{each.name}: {in_words(each.digests.size)}")
        typer.echo(f"{output}: {in_words(output.stat().st_size)}")


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What export wrote.")],
) -> None:
    """Take in what `assay datasets export` wrote.

    Every member is checked first: all of it is imported, or nothing. Runs then find the datasets
    without network.
    """
    with told():
        from assay.cli.progress import progress  # noqa: PLC0415 - once it is needed
        from assay.dataset import bundle  # noqa: PLC0415
        from assay.dataset.holdings import Holdings  # noqa: PLC0415
        from assay.local.launch import cache_folder  # noqa: PLC0415

        with progress() as listener:
            packed = bundle.import_(
                Holdings(cache_folder()), file, _moving(file, listener)
            )
        for each in packed:
            typer.echo(f"{each.name}: {in_words(each.digests.size)}, ready for runs")


def _moving(file: Path, listener: Listener) -> Callable[[int, int], None]:
    def moved(done: int, total: int) -> None:
        listener.preparing(
            file.name, StageProgress(PrepareStage.VERIFYING, done, total)
        )

    return moved
