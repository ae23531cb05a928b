"""`assay logs NAME`: what the workers, engines and scorers of a run in the cluster write."""

from __future__ import annotations

from typing import Annotated

import typer

from assay.cli.cluster import (
    ContextOption,
    KubeconfigOption,
    NamespaceOption,
    RunArgument,
    place,
)
from assay.cli.errors import on_one_line, told

ContainerOption = Annotated[
    str,
    typer.Option(
        "--container",
        "-c",
        metavar="NAME",
        help="Only of containers of this name.",
        show_default=False,
    ),
]


def logs(
    name: RunArgument,
    *,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Go on until the run has ended."),
    ] = False,
    model: Annotated[
        str,
        typer.Option(
            "--model", metavar="KEY", help="Only of this model.", show_default=False
        ),
    ] = "",
    task: Annotated[
        str,
        typer.Option(
            "--task",
            metavar="MODEL/DATASET",
            help="Only of this task's scorers; as `assay status` names it.",
            show_default=False,
        ),
    ] = "",
    container: ContainerOption = "",
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Print what the pods of a run in the cluster write.

    Each line with its pod's name before it.
    """
    of_task, slash, dataset = task.partition("/")
    if task and not (of_task and slash and dataset):
        raise typer.BadParameter("write MODEL/DATASET", param_hint="--task")
    if task and model not in {"", of_task}:
        raise typer.BadParameter(f"{task} is of another model", param_hint="--model")
    with told():
        from assay.cluster.logs import RunLogs, Wanted  # noqa: PLC0415 - once it is needed

        here = place(kubeconfig, context, namespace)
        wanted = Wanted(model or of_task, dataset, container)
        found = RunLogs(here, name, wanted, _say)
        if follow:
            found.follow()
        else:
            found.present()


def _say(who: str, line: str) -> None:
    typer.echo(on_one_line(f"{who}: {line}"))
