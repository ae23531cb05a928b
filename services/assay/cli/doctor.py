"""`assay doctor`: what in the cluster keeps a run from coming on, and the cure."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING

import typer

from assay.cli.cluster import (
    ContextOption,
    JsonOption,
    KubeconfigOption,
    NamespaceOption,
    ReleaseOption,
    place,
)
from assay.cli.errors import on_one_line, told
from assay.process.contract import ExitCode

if TYPE_CHECKING:
    from assay.cluster.finding import Finding
    from assay.cluster.place import Place

DOCTOR_CODES = "Exit codes: 0 nothing is wrong; 1 something is; 2 there is no such kubeconfig or context."


def doctor(
    *,
    release: ReleaseOption = None,
    as_json: JsonOption = False,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Look for what is wrong with a cluster.

    API server, definition, release, pods, images, rights, token, calls, store, queues, runs: one line each,
    OK, FAIL with the cure, or ? where you may not look. Changes nothing; looks at all releases of the
    namespace unless one is named.
    """
    with told():
        here = place(kubeconfig, context, namespace)
        findings = asyncio.run(_examined(here, release, shown=not as_json))
    if as_json:
        listed = [asdict(finding) for finding in findings]
        typer.echo(json.dumps(listed, indent=2, ensure_ascii=False))
    if any(finding.verdict == "FAIL" for finding in findings):
        raise typer.Exit(ExitCode.FAILED)


async def _examined(here: Place, release: str | None, *, shown: bool) -> list[Finding]:
    from assay.cluster.doctor import examine  # noqa: PLC0415 - once it is needed

    findings = []
    async for finding in examine(here, release, version=version("assay")):
        findings.append(finding)
        if shown:
            _show(finding)
    return findings


def _show(finding: Finding) -> None:
    line = f"{finding.verdict:<4} {finding.about}: {finding.words}"
    typer.echo(on_one_line(line))
    if finding.cure:
        typer.echo(on_one_line(f"     cure: {finding.cure}"))
