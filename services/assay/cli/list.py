"""`assay list`: the runs of a namespace, from their EvalRuns' status alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assay.cli.cluster import (
    ContextOption,
    JsonOption,
    KubeconfigOption,
    NamespaceOption,
    place,
)
from assay.cli.errors import told

if TYPE_CHECKING:
    from assay.cluster.evalruns import EvalRun

_COLUMNS = ("name", "state", "progress", "score", "models", "datasets", "release")


def list_runs(
    *,
    release: Annotated[
        str | None,
        typer.Option(
            "--release",
            metavar="NAME",
            help="Only those of one release of the chart.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """List the runs in the cluster."""
    with told():
        from assay.cluster.evalruns import eval_runs  # noqa: PLC0415 - once it is needed

        here = place(kubeconfig, context, namespace)
        rows = [_row(item) for item in eval_runs(here, release)]
        if as_json:
            typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        elif not rows:
            typer.echo(f"no runs in namespace {here.namespace}", err=True)
        else:
            _draw(rows)


def _row(item: EvalRun) -> dict[str, Any]:
    status = item.status
    return {
        "name": item.name,
        "state": item.state,
        "progress": status.progress,
        "score": status.score,
        "models": status.models,
        "datasets": status.datasets,
        "release": item.release,
        "run_id": status.run_id,
        "created": item.metadata.creation_timestamp,
    }


def _draw(rows: list[dict[str, Any]]) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - not before something is drawn
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from assay.report.terminal import WhereItFits, clean  # noqa: PLC0415

    table = Table(*_COLUMNS, box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(clean(row[column])) for column in _COLUMNS))
    listed = [
        Text(", ".join(f"{c} {clean(row[c])}" for c in _COLUMNS if row[c]))
        for row in rows
    ]
    console = Console()
    if not console.is_terminal:
        # Who reads it line by line gets a line for each run, however long.
        console.width = 10_000
    console.print(WhereItFits(table, listed))
