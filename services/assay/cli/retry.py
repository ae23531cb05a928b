"""`assay retry RUN`: asks again what a run left unscored, here or in the cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.cli.cluster import (
    ContextOption,
    KubeconfigOption,
    NamespaceOption,
    in_cluster,
    place_of_run,
)
from assay.cli.errors import on_one_line, told
from assay.cli.report import JsonOption
from assay.cli.run import UnsealedOption, conclude
from assay.domain.report import RunState
from assay.domain.snapshot import RunSnapshot


def retry(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="The run's folder; where there is none of that name, a run's name in the cluster, "
            "as `assay list` shows.",
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Argument(
            help="The file it was started with. Needed where a model has a key or its address "
            "has changed: keys are never stored. In a cluster they stand in the run's Secret.",
        ),
    ] = None,
    *,
    as_json: JsonOption = False,
    unsealed: UnsealedOption = False,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Ask again only what is unscored in a run, score, and report.

    Of a run in the cluster it returns once that goes on; `assay watch` and `assay wait` follow it.
    """
    if in_cluster(run):
        for given, hint in (
            (file, "FILE"),
            (as_json, "--json"),
            (unsealed, "--unsealed"),
        ):
            if given:
                why = f"is for runs of this machine, and there is no folder {run}"
                raise typer.BadParameter(why, param_hint=hint)
        _retry_there(run, kubeconfig, context, namespace)
        return
    with told():
        from assay.cli.progress import progress  # noqa: PLC0415 - once it is needed
        from assay.local import retry as retry_here  # noqa: PLC0415

        with progress() as listener:
            outcome = retry_here(Path(run), file, unsealed=unsealed, listener=listener)
        conclude(outcome, file, as_json=as_json)


def _retry_there(
    name: str, kubeconfig: str | None, context: str | None, namespace: str | None
) -> None:
    with told():
        import asyncio  # noqa: PLC0415 - once it is needed

        from assay.cluster.commands import retry as retry_in_cluster  # noqa: PLC0415

        here = place_of_run(name, kubeconfig, context, namespace)
        snapshot = asyncio.run(retry_in_cluster(here, name))
        typer.echo(on_one_line(f"{name}: {_what_is_next(snapshot)}"))


def _what_is_next(snapshot: RunSnapshot) -> str:
    ended = all(task.state.ended for task in snapshot.tasks)
    if ended or snapshot.state is not RunState.RUNNING:
        return "nothing is left to ask"
    counts = [task.counts for task in snapshot.tasks]
    pending = sum(each.pending + each.leased for each in counts)
    return f"goes on, {pending} samples are asked again" if pending else "goes on"
