"""`assay cancel NAME`: ends a run in the cluster for good."""

from __future__ import annotations

import asyncio

import typer

from assay.cli.cluster import (
    ContextOption,
    KubeconfigOption,
    NamespaceOption,
    RunArgument,
    place,
)
from assay.cli.errors import on_one_line, told
from assay.domain.report import RunState


def cancel(
    name: RunArgument,
    *,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """End a run in the cluster for good.

    Nothing more is asked, and nothing but another `fresh` lets it go on. What was answered stays in the
    store. To keep a run's pods away for a while, set spec.suspend instead.
    """
    with told():
        from assay.cluster.commands import cancel as cancel_there  # noqa: PLC0415

        here = place(kubeconfig, context, namespace)
        snapshot = asyncio.run(cancel_there(here, name))
        state = snapshot.state.value.lower().replace("_", " ")
        verb = "is" if snapshot.state is RunState.CANCELLED else "had ended already:"
        typer.echo(on_one_line(f"{name}: execution {snapshot.run_id} {verb} {state}"))
