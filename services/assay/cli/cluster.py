"""What all commands about a cluster share: which cluster, namespace and release is meant."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay.domain.errors import ConfigError, NotFoundError

if TYPE_CHECKING:
    from assay.cluster.place import Place

ContextOption = Annotated[
    str | None,
    typer.Option(
        "--context",
        metavar="NAME",
        help="Context of the kubeconfig. Default: the current one.",
        show_default=False,
    ),
]
NamespaceOption = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NAME",
        help="Namespace. Default: the context's.",
        show_default=False,
    ),
]
KubeconfigOption = Annotated[
    str | None,
    typer.Option(
        "--kubeconfig",
        metavar="FILE",
        help="Default: $KUBECONFIG, else ~/.kube/config.",
        show_default=False,
    ),
]
ReleaseOption = Annotated[
    str | None,
    typer.Option(
        "--release",
        metavar="NAME",
        help="Release of the chart. Needed only where the namespace has several.",
        show_default=False,
    ),
]
RunArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="The run's name, as `assay list` shows.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON instead of text.", show_default=False)
]
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")

WAIT_CODES = (
    "Exit codes: 0 complete; 3 a task's coverage is below coverage_threshold; 2 refused, or there is no "
    "such run; 130 stopped on request (Ctrl-C), the run goes on; 1 failed, cancelled, or anything else."
)


def in_cluster(run: str) -> bool:
    """Whether what names a run means one in the cluster: there is nothing here that is called so."""
    return not Path(run).exists() and _NAME.fullmatch(run) is not None


def place_of_run(
    run: str, kubeconfig: str | None, context: str | None, namespace: str | None
) -> Place:
    """Where a run is that is no folder here.

    Raises:
        NotFoundError: there is no cluster to ask, so a folder was probably meant.
        UnauthenticatedError: the plugin that the kubeconfig names gives no credentials.
    """
    try:
        return place(kubeconfig, context, namespace)
    except ConfigError as error:
        raise NotFoundError(
            f"there is no folder {run}, and no cluster whose run it could be: {error.message}",
            cure="name the folder of a run, or a cluster with --kubeconfig or $KUBECONFIG",
        ) from error


def place(kubeconfig: str | None, context: str | None, namespace: str | None) -> Place:
    """Where a command works.

    Raises:
        ConfigError: there is no such kubeconfig or context, or it cannot be read.
        UnauthenticatedError: the plugin that it names gives no credentials.
    """
    from assay.cluster.place import place_of  # noqa: PLC0415 - not before it is asked for

    return place_of(kubeconfig, context, namespace)
