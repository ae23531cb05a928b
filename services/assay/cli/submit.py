"""`assay submit FILE`: an EvalRun of a file, for the controller of a release in the cluster."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay.cli.cluster import (
    ContextOption,
    KubeconfigOption,
    NamespaceOption,
    ReleaseOption,
    place,
)
from assay.cli.errors import on_one_line, told
from assay.domain.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from assay.cluster.place import Place


def submit(
    file: Annotated[
        Path,
        typer.Argument(
            help="EvalScope file (YAML or JSON) with eval_config; beside it the chart's keys of one run "
            "(models, judge, gpuPhases, gpuResource, queue, scorer, suspend) are taken, too."
        ),
    ],
    *,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            help="What the run is called there. Default: run_name, else the file's name.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            min=0,
            help="How long the controller gets to say whether it takes the run; 0: it is not asked.",
        ),
    ] = 20.0,
    release: ReleaseOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Evaluate what FILE asks for in the cluster.

    Its keys go into a Secret, the rest into an EvalRun, which the release's controller acts on. Prints the
    run's name. A run of that name that was submitted before is changed: another spec is another execution,
    which adopts what is finished; the same spec changes nothing.
    """
    with told():
        from assay.cluster.releases import release_of  # noqa: PLC0415 - once it is needed
        from assay.cluster.submission import submission_of  # noqa: PLC0415
        from assay.cluster.submission import submit as submit_there  # noqa: PLC0415

        wanted = submission_of(file, name, environ=os.environ)
        here = place(kubeconfig, context, namespace)
        chosen = release_of(here, release)
        item, what = submit_there(here, chosen, wanted)
        for note in wanted.notes:
            typer.echo(f"note: {on_one_line(note)}", err=True)
        typer.echo(item.name)
        where = f"release {chosen.name} in namespace {here.namespace}"
        typer.echo(f"{what} in {where}", err=True)
        if timeout:
            _see_accepted(here, item.name, timeout)
        there = f" --namespace {here.namespace}" if namespace else ""
        typer.echo(f"how it goes: assay watch {item.name}{there}", err=True)


def _see_accepted(here: Place, name: str, seconds: float) -> None:
    """Waits until the controller has looked at it.

    Raises:
        ConfigError: it is refused.
    """
    from assay.cluster.evalruns import follow_run  # noqa: PLC0415 - once it is needed

    try:
        for item in follow_run(here, name, seconds):
            accepted = item.condition("Accepted")
            if not item.seen or accepted is None or accepted.status == "Unknown":
                continue
            if accepted.status == "False":
                raise ConfigError(
                    name,
                    f"is refused: {accepted.message}",
                    "mend the file and submit it again",
                )
            return
    except UnavailableError:
        typer.echo(
            "note: no controller has looked at it yet; assay doctor says what is wrong",
            err=True,
        )
