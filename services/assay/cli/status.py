"""`assay status NAME`: everything that an EvalRun's status tells, on a page."""

from __future__ import annotations

import json

import typer

from assay.cli.cluster import (
    ContextOption,
    JsonOption,
    KubeconfigOption,
    NamespaceOption,
    RunArgument,
    place,
)
from assay.cli.errors import told


def status(
    name: RunArgument,
    *,
    as_json: JsonOption = False,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Show how a run in the cluster stands.

    Its conditions, its tasks with their scores, its executions.
    """
    with told():
        from assay.cluster.evalruns import eval_run  # noqa: PLC0415 - once it is needed

        item = eval_run(place(kubeconfig, context, namespace), name)
        if as_json:
            from assay.cli.runview import as_document  # noqa: PLC0415

            typer.echo(json.dumps(as_document(item), indent=2, ensure_ascii=False))
            return
        from assay.cli.runview import show  # noqa: PLC0415

        show(item)
