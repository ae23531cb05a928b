"""One line per run for a list: from the run where it is served, else from two small objects of the store."""

from __future__ import annotations

from assay.aggregator import pins, standing
from assay.aggregator.means import Means
from assay.aggregator.progress import total_counts
from assay.aggregator.runbook import RunBook
from assay.aggregator.standing import Standing
from assay.domain.errors import CorruptError
from assay.domain.report import RunState
from assay.domain.snapshot import RunSummary
from assay.domain.task import TaskCounts
from assay.store.spec import PinnedSpec


def summary_of(book: RunBook) -> RunSummary:
    """The line of a run that is served here."""
    return _line(book.pinned, book.standing, total_counts(book.tasks.values()))


def stored_summary(means: Means) -> RunSummary | None:
    """The line of a run that is not; None: it was never accepted. Blocking.

    One that cannot be read says so itself: the others are listed all the same.
    """
    try:
        pinned = pins.read_spec(means)
        stands = standing.read(means.store, means.run_id)
    except CorruptError as error:
        return RunSummary(
            run_id=means.run_id, name="", state=RunState.FAILED, message=str(error)
        )
    return None if pinned is None else _line(pinned, stands, stands.counts)


def _line(
    pinned: PinnedSpec, stands: Standing, counts: TaskCounts | None
) -> RunSummary:
    return RunSummary(
        run_id=pinned.run_id,
        name=pinned.run.name,
        state=stands.state,
        started=pinned.started,
        finished=stands.finished,
        models=tuple(model.key for model in pinned.run.models),
        datasets=tuple(dataset.name for dataset in pinned.run.datasets),
        counts=counts,
        message=stands.message,
    )
