"""`assay wait NAME` and `assay watch NAME`: until a run in the cluster has ended, well or badly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from assay.cli.cluster import (
    ContextOption,
    KubeconfigOption,
    NamespaceOption,
    RunArgument,
    place,
)
from assay.cli.errors import on_one_line, told
from assay.process.contract import ExitCode

if TYPE_CHECKING:
    from assay.cli.progress import Progress
    from assay.cluster.evalruns import EvalRun
    from assay.cluster.place import Place

TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        min=1,
        help="Give up after so long, with exit code 1; the run goes on. Default: never.",
        show_default=False,
    ),
]


def wait(
    name: RunArgument,
    *,
    timeout: TimeoutOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Wait until a run in the cluster has ended.

    Well or badly: the exit code says how.
    """
    with told():
        here = place(kubeconfig, context, namespace)
        item = _until_ended(here, name, timeout)
        typer.echo(on_one_line(_ending(item)))
        raise typer.Exit(item.ended or ExitCode.OK)


def watch(
    name: RunArgument,
    *,
    timeout: TimeoutOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Watch a run in the cluster until it has ended.

    Live on a terminal, line by line elsewhere; then its status is shown. Exits as `assay wait`.
    """
    with told():
        from assay.cli.progress import progress  # noqa: PLC0415 - once it is needed

        here = place(kubeconfig, context, namespace)
        with progress() as shown:
            item = _until_ended(here, name, timeout, shown)
        from assay.cli.runview import show  # noqa: PLC0415

        show(item)
        raise typer.Exit(item.ended or ExitCode.OK)


def _until_ended(
    here: Place, name: str, timeout: float | None, shown: Progress | None = None
) -> EvalRun:
    """The run as it ended; what changes on the way is shown.

    Raises:
        NotFoundError: it is not there, or not any more.
        UnavailableError: the time is up.
        PermissionDeniedError, UnauthenticatedError: the API server does not show it.
    """
    from assay.cluster.evalruns import eval_run, follow_run  # noqa: PLC0415

    # A slip of the pen is said as what it is, before anybody waits.
    eval_run(here, name)
    said: set[str] = set()
    for item in follow_run(here, name, timeout):
        if shown is not None:
            _tell(item, shown, said)
        elif item.state == "Suspended" and not said:
            said.add(item.state)
            typer.echo(f"{name} is suspended: somebody has to let it go on", err=True)
        if item.ended is not None:
            return item
    raise AssertionError  # It ends by returning or raising.


def _tell(item: EvalRun, shown: Progress, said: set[str]) -> None:
    """Says what conditions have newly come to say, the same once, and moves the bars."""
    from assay.cluster.outlook import snapshot_of  # noqa: PLC0415 - once it is needed

    if not said:
        shown.say(f"run {item.name}: {item.state}")
    for condition in item.status.conditions or ():
        message = condition.message
        if message and message not in said and condition.type != "Judging":
            shown.say(f"{condition.type}: {condition.reason}: {message}")
        said.add(message)
    shown.looked(snapshot_of(item))


def _ending(item: EvalRun) -> str:
    words = [f"{item.name}: {item.state}"]
    if item.status.score:
        words.append(f"score {item.status.score}")
    if item.why:
        words.append(item.why)
    return ", ".join(words)
