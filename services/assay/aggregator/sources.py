"""Answers of former executions that a task goes on from: which they are, and those that still come.

Nothing is copied: a task names the tasks it goes on from and reads their segments where they stand. Which of
those count is said by the epochs of the run that wrote them, and what they admit only ever grows. So a former
run is taken over as far as its epoch before it is read, and what its workers hand in late is passed on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assay.aggregator import pins
from assay.aggregator.ledger import Place
from assay.aggregator.pins import Source
from assay.aggregator.takeover import admitted_segments
from assay.domain.completion import Completion
from assay.domain.errors import CorruptError, NotFoundError, UnavailableError
from assay.domain.identity import task_digest
from assay.domain.task import TaskId
from assay.store.objects import ObjectStore
from assay.store.segments import Segment

if TYPE_CHECKING:
    from assay.aggregator.runbook import RunBook

MOST_SOURCES = 200
"""Of one task: a ledger remembers in a byte which of them answered a sample."""

Former = Callable[[str], Awaitable["RunBook"]]
"""Gives a run of the store, taken over at least as far as its epoch."""
Hear = Callable[[Completion, Place], None]


@dataclass(frozen=True, slots=True)
class Shelf:
    """The segments of one run that count for a task.

    Attributes:
        counts: epoch -> how many of its segments count.
        retry_epoch: errors of epochs before it were asked for again there.
    """

    source: Source
    counts: Mapping[int, int]
    retry_epoch: int = 0

    def segments(
        self, store: ObjectStore, only: Collection[tuple[int, int]] | None = None
    ) -> Iterator[Segment]:
        """Every segment, oldest first; `only` those of these epochs and numbers. Blocking."""
        run_id, task = self.source.run_id, self.source.task
        return admitted_segments(store, run_id, task, self.counts, only)


class Feed:
    """Records of a former execution's task, from the moment it is made."""

    def __init__(self, former: RunBook, source: Source, rank: int) -> None:
        """Begins to listen; what comes waits for `flow`.

        Args:
            former: the run that wrote them, and may write more.
            source: names it and its task.
            rank: its place among the task's sources, from 1 on.
        """
        self.source = source
        self.former = former
        self._rank = rank
        self._waiting: list[tuple[Completion, Place]] = []
        self._hear: Hear | None = None
        former.followers.setdefault(source.task, []).append(self._heard)

    @property
    def shelf(self) -> Shelf:
        """What there is of it now."""
        return self.former.shelf_of(self.source.task)

    def leased(self) -> dict[int, float]:
        """Samples that workers of the former execution are asking now, and until when at most."""
        return self.former.leased(self.source.task)

    def flow(self, hear: Hear) -> None:
        """Passes on what has come, and from now on everything as it comes."""
        self._hear = hear
        for completion, place in self._waiting:
            hear(completion, place)
        self._waiting.clear()

    def stop(self) -> None:
        """Ends it."""
        self.former.followers[self.source.task].remove(self._heard)

    def _heard(self, completion: Completion, place: Place) -> None:
        here = Place(place.epoch, place.seq, place.offset, self._rank)
        if self._hear is None:
            self._waiting.append((completion, here))
        else:
            self._hear(completion, here)


async def open_feeds(book: RunBook, sources: Iterable[Source]) -> list[Feed]:
    """Listens to every source of a task.

    Raises:
        CorruptError: one of them is gone from the store.
        UnavailableError: one of them is being let go; try again.
    """
    feeds = []
    for rank, source in enumerate(sources, start=1):
        try:
            former = await book.former(source.run_id)
        except NotFoundError as error:
            raise CorruptError(
                f"cannot go on with run {book.means.run_id}: answers of {source.task} stand in run"
                f" {source.run_id}, which is gone from the store",
                cure="bring that run's objects back, or evaluate anew with another `fresh` word",
            ) from error
        if former.stopping:
            # Let go in this very moment: nobody would tell what its successor hears.
            raise UnavailableError(f"cannot listen to run {source.run_id}: going away")
        feeds.append(Feed(former, source, rank))
    return feeds


async def sources_of(
    book: RunBook, task: TaskId, prepared_digest: str, identity: str
) -> tuple[Source, ...]:
    """Whose answers a task goes on from: those it is held to, then every equal task that its run adopts.

    Args:
        book: the task's run.
        task: the task.
        prepared_digest: of its dataset.
        identity: its task digest.
    """
    present = await book.means.block(pins.read_task, book.means, task)
    found = dict.fromkeys(present.sources if present else ())
    for run_id in book.pinned.adopts:
        try:
            former = await book.former(run_id)
        except NotFoundError:
            # A task that has answers there is held to them and says so; the others miss nothing.
            continue
        for source in _equal_tasks(former, task.dataset, prepared_digest, identity):
            held = await book.means.block(pins.read_task, former.means, source.task)
            if held is not None and held.prepared_digest == prepared_digest:
                found |= dict.fromkeys((source, *held.sources))
    others = (source for source in found if source.run_id != book.means.run_id)
    return tuple(others)[:MOST_SOURCES]


def _equal_tasks(
    former: RunBook, dataset: str, prepared_digest: str, identity: str
) -> Iterator[Source]:
    """Tasks of a former run whose answers are this task's, if they are of this prepared dataset."""
    run = former.pinned.run
    if all(each.name != dataset for each in run.datasets):
        return
    for model in run.models:
        if task_digest(model, prepared_digest, run.limit, run.fresh) == identity:
            yield Source(former.means.run_id, TaskId(model.key, dataset))
