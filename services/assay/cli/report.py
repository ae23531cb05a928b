"""`assay report RUN_DIR`: the table of a run that ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from assay.cli.errors import told
from assay.domain.errors import CorruptError, NotFoundError

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print report.json instead of the table.")
]


def report(
    run_dir: Annotated[Path, typer.Argument(help="The run's folder.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Print the result table of a run again."""
    with told():
        show_report(read_report(run_dir), as_json=as_json)


def read_report(run_dir: Path) -> dict[str, Any]:
    """The report in a run's folder.

    Raises:
        NotFoundError: there is none.
        CorruptError: it cannot be read.
    """
    path = run_dir / "report.json"
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise NotFoundError(
            f"cannot read {path}: {error.strerror or error}",
            cure="name the folder of a run that ended; `assay run FILE --resume` ends one that has not",
        ) from error
    except ValueError as error:
        raise CorruptError(f"cannot read {path}: {error}") from error
    if not isinstance(document, dict):
        raise CorruptError(f"cannot read {path}: it holds no report")
    return document


def show_report(document: dict[str, Any], *, as_json: bool) -> None:
    """Prints a report on standard output."""
    if as_json:
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    from rich.console import Console  # noqa: PLC0415 - not before something is drawn

    from assay.report.terminal import print_report  # noqa: PLC0415

    print_report(document, Console())
