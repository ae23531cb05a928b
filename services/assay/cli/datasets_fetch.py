"""`assay datasets fetch`: makes datasets ready before a run needs them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.cli.errors import say, told
from assay.cli.run import UnsealedOption
from assay.cli.sizes import in_words
from assay.domain.errors import ConfigError
from assay.process.contract import ExitCode

_INTERRUPTED = 130


def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="VLMEvalKit's names, or names of FILE's dataset_sources. None: all of FILE's data.",
            show_default=False,
        ),
    ] = None,
    *,
    file: Annotated[
        Path | None,
        typer.Option(
            "-f",
            "--file",
            metavar="FILE",
            help="EvalScope file whose dataset_sources, mirrors and picture settings count.",
        ),
    ] = None,
    unsealed: UnsealedOption = False,
) -> None:
    """Fetch, verify and prepare datasets, as a run would. A cut download goes on where it was."""
    with told():
        from assay.cli.progress import progress  # noqa: PLC0415 - once it is needed
        from assay.local import datasets  # noqa: PLC0415

        if not names and file is None:
            raise ConfigError("NAME", "is missing", "name datasets, or a file with -f")
        wanted = datasets.wanted(names or [], file)
        with progress() as listener:
            fetched = datasets.fetch(wanted, listener, unsealed=unsealed)
    for ref in sorted(fetched.ready, key=lambda one: one.name):
        typer.echo(
            f"{ref.name}: {ref.sample_count} samples, {in_words(ref.size_bytes)},"
            f" prepared as {ref.digest[:12]}"
        )
    for error in fetched.failed:
        say(error)
    if fetched.interrupted:
        typer.echo("what has come is kept; the same command goes on from it", err=True)
        raise typer.Exit(_INTERRUPTED)
    if fetched.failed:
        raise typer.Exit(ExitCode.FAILED)
