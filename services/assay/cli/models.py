"""`assay models list`: VLMEvalKit's local models, and which of them can be built by an interpreter here."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from assay.cli.errors import DONE_CODES, told
from assay.config.upstream_models import (
    UpstreamModel,
    class_of,
    registry,
    transformers_range,
    upstream_root,
)
from assay.domain.errors import NotFoundError

app = typer.Typer(
    name="models",
    help="VLMEvalKit's local models, and what can be built here.",
    epilog=DONE_CODES,
    no_args_is_help=True,
)

_COLUMNS = ("name", "state", "class", "weights", "transformers", "code", "reason")


@app.callback()
def models() -> None:
    """VLMEvalKit's local models, and what can be built here."""


@app.command("list", epilog=DONE_CODES)
def list_models(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list instead of the table.")
    ] = False,
    python: Annotated[
        str,
        typer.Option(
            "--python",
            help="The interpreter in question; else $ASSAY_LOCAL_PYTHON, else Assay's own.",
        ),
    ] = "",
) -> None:
    """List the names of VLMEvalKit's `supported_VLM`.

    Each with its class, its usual weights, the transformers it needs, whether code comes with those
    weights, and whether an interpreter can build it: yes, or no with the reason.
    """
    with told():
        from assay.worker.engines.model_check import probe  # noqa: PLC0415 - once needed

        chosen = python or os.environ.get("ASSAY_LOCAL_PYTHON") or sys.executable
        rows = listed(asyncio.run(probe(chosen)))
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    for cells in (_COLUMNS, *(tuple(row.values()) for row in rows)):
        typer.echo("\t".join(map(str, cells)))
    buildable = sum(row["state"] == "yes" for row in rows)
    typer.echo(f"{buildable} of {len(rows)} can be built by {chosen}", err=True)


def listed(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """Every name, as it is with what `found` says of an interpreter.

    Raises:
        NotFoundError: VLMEvalKit is not installed beside Assay.
    """
    root = upstream_root()
    if root is None:
        raise NotFoundError(
            "cannot list models: VLMEvalKit is not installed",
            cure="install Assay as its README says",
        )
    return [_row(root, model, found) for model in registry(root).values()]


def _row(root: Path, model: UpstreamModel, found: Mapping[str, Any]) -> dict[str, str]:
    cls = class_of(root, model.cls) if model.local else None
    wanted = transformers_range(model.name, root)
    weights = str(model.defaults.get(cls.weights) or "-") if cls else "-"
    reason = _reason(model, found)
    return {
        "name": model.name,
        "state": "no" if reason else "yes",
        "class": model.cls,
        "weights": weights,
        "transformers": str(wanted or "any") if cls else "-",
        "code": "comes with weights" if cls and cls.remote_code else "-",
        "reason": reason or "-",
    }


def _reason(model: UpstreamModel, found: Mapping[str, Any]) -> str:
    """Why it cannot be built; empty: it can."""
    from assay.worker.engines.model_check import missing  # noqa: PLC0415 - once needed

    if not model.local:
        return "a client of a service: use CustomAPIModel with its address"
    if why := missing(found):
        return why
    wanted = transformers_range(model.name)
    if wanted is not None and not wanted.admits(str(found["transformers"])):
        return f"needs transformers {wanted}, and it has {found['transformers']}"
    return ""
