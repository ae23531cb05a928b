"""Sees that answers of one model come from one place: other weights may stand behind the same name.

Asked when a run is opened, about the run itself and about those whose answers it goes on from. A user who
knows better says so: with another `revision` (then nothing is shared), or with `endpoint_moved`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.domain.errors import EndpointChangedError
from assay.domain.identity import model_identity
from assay.domain.run import Mode, Model, Run
from assay.domain.task import TaskId
from assay.report.build import without_query

if TYPE_CHECKING:
    from assay.aggregator.runbook import RunBook


def check_former(former: RunBook, run: Run) -> None:
    """Sees that a run asks its models where a former execution asked them, as far as it may go on from it.

    Raises:
        EndpointChangedError: it asks one elsewhere.
    """
    theirs = former.pinned.run
    if run.endpoint_moved or (theirs.limit, theirs.fresh) != (run.limit, run.fresh):
        return
    datasets = {dataset.name for dataset in run.datasets}
    for before in theirs.models:
        for now in run.models:
            if not _elsewhere(before, now):
                continue
            shared = [
                TaskId(before.key, each.name)
                for each in theirs.datasets
                if each.name in datasets
            ]
            if any(former.shelf_of(task).counts for task in shared):
                raise _changed(before, now, f"run {former.means.run_id}")


def check_open(book: RunBook, run: Run) -> None:
    """Sees that a run goes on where it began, as long as anything is left to ask.

    Raises:
        EndpointChangedError: it would ask a model elsewhere.
    """
    if run.endpoint_moved or run.mode is Mode.EVAL:
        return
    present = {model.key: model for model in run.models}
    for before in book.pinned.run.models:
        now = present[before.key]
        if not _elsewhere(before, now):
            continue
        for task in book.tasks_of(before.key):
            ledger = task.opened.ledger if task.opened else None
            if (
                ledger
                and ledger.answered_count
                and (ledger.open_count or ledger.failed_count)
            ):
                raise _changed(before, now, str(task.id))


def _elsewhere(before: Model, now: Model) -> bool:
    """Whether two models are one by all they say, and are asked at different addresses.

    An engine beside its workers is named by what it is: its address is every pod's own.
    """
    moved = now.launched is None and before.endpoint.api_base != now.endpoint.api_base
    return moved and model_identity(before) == model_identity(now)


def _changed(before: Model, now: Model, where: str) -> EndpointChangedError:
    return EndpointChangedError(
        f"cannot go on with answers of model {now.key}: in {where} they came from"
        f" {without_query(before.endpoint.api_base)}, and it is asked at"
        f" {without_query(now.endpoint.api_base)} now",
        cure="if the same model answers there, say endpoint_moved: true; if not, give it another revision",
    )
