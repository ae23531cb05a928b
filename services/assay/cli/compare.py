"""`assay compare RUN [RUN]`: two models, sample by sample."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay.cli.errors import told
from assay.cli.report import read_report

if TYPE_CHECKING:
    from assay.report.compare import Side


def compare(
    a: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of A's run.")],
    b: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RUN]",
            help="The folder of B's run. Without it, --models names two models of one run.",
            show_default=False,
        ),
    ] = None,
    *,
    models: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--models",
            metavar="A B",
            help="The two models. Default: every model that both runs have, or, where each has one, those.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole comparison as JSON.")
    ] = False,
) -> None:
    """Compare two evaluations: figures, paired differences with 95% intervals, agreement, settings."""
    with told():
        from assay.report.compare import comparison  # noqa: PLC0415 - not before it is asked for

        document = comparison(_sides(a, b, models))
        if as_json:
            typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
            return
        from rich.console import Console  # noqa: PLC0415

        from assay.report.compare_view import print_comparison  # noqa: PLC0415

        print_comparison(document, Console())


def _sides(
    a: Path, b: Path | None, models: tuple[str, str] | None
) -> list[tuple[Side, Side]]:
    from assay.report.compare import Side  # noqa: PLC0415 - as above

    if b is None and models is None:
        raise typer.BadParameter(
            "name a second run, or two models of this one with --models A B",
            param_hint="RUN",
        )
    runs = [(path, read_report(path)) for path in (a, b or a)]
    known = [list(report["provenance"]["models"]) for _, report in runs]
    return [
        (Side(*runs[0], model_a), Side(*runs[1], model_b))
        for model_a, model_b in _pairs(known[0], known[1], models)
    ]


def _pairs(
    of_a: list[str], of_b: list[str], models: tuple[str, str] | None
) -> list[tuple[str, str]]:
    if models is not None:
        for name, known in zip(models, (of_a, of_b), strict=True):
            if name not in known:
                raise typer.BadParameter(
                    f"{name} is no model of that run; it has {', '.join(known)}",
                    param_hint="--models",
                )
        return [models]
    shared = [(name, name) for name in of_a if name in of_b]
    if not shared and len(of_a) == len(of_b) == 1:
        return [(of_a[0], of_b[0])]
    if not shared:
        raise typer.BadParameter(
            f"the runs have no model in common (A: {', '.join(of_a)}; B: {', '.join(of_b)});"
            " name one of each with --models A B",
            param_hint="RUN",
        )
    return shared
