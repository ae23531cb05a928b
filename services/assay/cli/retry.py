"""`assay retry RUN_DIR`: asks again what a run left unscored."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.cli.errors import told
from assay.cli.report import JsonOption
from assay.cli.run import UnsealedOption, conclude


def retry(
    run_dir: Annotated[Path, typer.Argument(help="The run's folder.")],
    file: Annotated[
        Path | None,
        typer.Argument(
            help="The file it was started with. Needed where a model has a key or its address "
            "has changed: keys are never stored.",
        ),
    ] = None,
    *,
    as_json: JsonOption = False,
    unsealed: UnsealedOption = False,
) -> None:
    """Ask again only what is unscored in a run, score, and report."""
    with told():
        from assay.cli.progress import progress  # noqa: PLC0415 - once it is needed
        from assay.local import retry as retry_here  # noqa: PLC0415

        with progress() as listener:
            outcome = retry_here(run_dir, file, unsealed=unsealed, listener=listener)
        conclude(outcome, file, as_json=as_json)
