"""`assay score RUN_DIR [FILE]`: scores the answers a run has, and asks no model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.cli.errors import told
from assay.cli.report import JsonOption
from assay.cli.run import UnsealedOption, conclude


def score(
    run_dir: Annotated[
        Path, typer.Argument(help="The folder of a run that inferred (mode: infer).")
    ],
    file: Annotated[
        Path | None,
        typer.Argument(
            help="The file it was started with. Needed where its judge has a key: keys are never stored.",
        ),
    ] = None,
    *,
    as_json: JsonOption = False,
    unsealed: UnsealedOption = False,
) -> None:
    """Score the answers of a run, and report; no model is asked."""
    with told():
        from assay.cli.progress import progress  # noqa: PLC0415 - once it is needed
        from assay.local import score as score_here  # noqa: PLC0415

        with progress() as listener:
            outcome = score_here(run_dir, file, unsealed=unsealed, listener=listener)
        conclude(outcome, file, as_json=as_json)
