"""Opens the tasks of a run: answers are replayed, a score that fits is found, the rest is handed out.

The run's book calls it at take-over, when a dataset is attached, and when failed samples are asked again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import structlog

from assay.aggregator import pins, scores
from assay.aggregator.committer import Committer, Track
from assay.aggregator.ledger import Ledger, Place
from assay.aggregator.pins import PinnedTask, Source
from assay.aggregator.sources import Shelf, open_feeds, sources_of
from assay.aggregator.tasks import OpenTask, Task, limited_too_far
from assay.aggregator.turn_ledger import TurnLedger
from assay.domain.catalog import Family
from assay.domain.errors import NotFoundError
from assay.domain.identity import task_digest
from assay.domain.sample import UnscoredReason
from assay.report.versions import installed_versions
from assay.store.prepared import PreparedDataset

if TYPE_CHECKING:
    from assay.aggregator.runbook import RunBook
    from assay.aggregator.scores import StoredScore

_log = structlog.get_logger(__name__)


async def open_pinned(book: RunBook) -> None:
    """Opens every task whose dataset is pinned; all are replayed before anything is handed out.

    Raises:
        CorruptError: a run that it goes on from is gone.
    """
    opened = []
    for task in book.tasks.values():
        pinned = await book.means.block(pins.read_task, book.means, task.id)
        if pinned is None:
            continue
        try:
            await open_task(book, task, pinned.prepared_digest)
        except NotFoundError as error:
            # The cache was emptied, or the run's folder came from elsewhere: prepared again, it fits.
            _log.warning("dataset gone", task=str(task.id), error=str(error))
            continue
        opened.append(task)
    for task in opened:
        await enter(book, task)


async def open_task(book: RunBook, task: Task, digest: str) -> None:
    """Pins a task's dataset and whose answers it goes on from, and learns what has been answered.

    Raises:
        ConflictError: another dataset is pinned.
        NotFoundError: the dataset is not prepared in the store.
        CorruptError: a run that it goes on from is gone.
    """
    run, means = book.pinned.run, book.means
    prepared = await means.block(
        PreparedDataset.open, means.store, task.id.dataset, digest
    )
    task.failure = limited_too_far(prepared.manifest, run)
    if task.failure:
        return
    identity = task_digest(task.model, digest, run.limit, run.fresh)
    sources = await sources_of(book, task.id, digest, identity)
    pinned = PinnedTask(prepared_digest=digest, sources=sources)
    await means.block(pins.pin_task, means, task.id, pinned)
    total = min(len(prepared.sample_ids), run.limit or len(prepared.sample_ids))
    barred = dict.fromkeys(prepared.invalid, UnscoredReason.PICTURE_INVALID)
    ledger = await means.block(
        _ledger_of, prepared, total, barred, book.epoch.retry_epoch
    )
    if task.opened is not None:
        task.opened.leave()
    feeds = await open_feeds(book, sources)
    shelves = (book.shelf_of(task.id), *(feed.shelf for feed in feeds))
    recent = await means.block(_replay, book, shelves, ledger)
    if ledger.open_count:
        book.recent.setdefault(task.id.model, set()).update(recent)
    committer = Committer(
        Track(means.run_id, task.id, book.epoch.number),
        ledger,
        store=means.store,
        leadership=means.leadership,
        executor=means.executor,
        committed=book.committed,
    )
    task.opened = OpenTask(prepared, identity, ledger, committer, tuple(feeds))


async def enter(book: RunBook, task: Task) -> None:
    """Finds a task's score, or hands its open samples out; leaves a task that cannot be opened."""
    opened = task.opened
    if opened is None:
        return
    await _find_score(book, task)
    await publish_score(book, task)
    ledger, queue = opened.ledger, book.queue(task.id.model)
    queue.open(task.id, ledger.total, ledger.is_open)
    # What workers of a former execution are asking now is not asked again.
    queue.withhold(task.id, [feed.leased for feed in opened.feeds])
    for feed in opened.feeds:
        feed.flow(lambda said, place: book.adopted(task, said, place))
    book.write(task.id, opened.committer)
    _log.info(
        "task opened",
        task=str(task.id),
        samples=ledger.total,
        open=ledger.open_count,
        adopted=ledger.adopted_count,
        scored=task.score is not None,
    )


async def publish_score(book: RunBook, task: Task) -> None:
    """Puts a task's score where a person looks for it."""
    score, means = task.score, book.means
    if score is None:
        return
    kept_in = (task.scored_in or Source(means.run_id, task.id)).run_id
    await means.block(
        lambda: scores.publish(
            means.store,
            means.run_id,
            task.id,
            score,
            kept_in=kept_in,
            withheld=task.hides_files,
        )
    )


def _ledger_of(
    prepared: PreparedDataset,
    total: int,
    barred: Mapping[int, UnscoredReason],
    retry_epoch: int,
) -> Ledger:
    """An empty ledger for the first `total` samples of a dataset. Blocking."""
    if prepared.manifest.family != Family.MULTI_TURN:
        return Ledger(total, barred, retry_epoch)
    turns = [
        0 if ordinal in barred else len(prepared.prompt(ordinal).turns)
        for ordinal in range(total)
    ]
    return TurnLedger(turns, barred, retry_epoch)


def _replay(book: RunBook, shelves: Sequence[Shelf], ledger: Ledger) -> set[str]:
    """Feeds the ledger what was admitted; returns the workers that wrote lately. Blocking.

    Those of a former execution are among them: they tell it what they are asking still.
    """
    means, now = book.means, int(time.time())
    recent: set[str] = set()
    for rank, shelf in enumerate(shelves):
        for segment in shelf.segments(means.store):
            if now - segment.written <= means.lease_seconds:
                recent.update(segment.workers)
            for placed in segment.records:
                said = placed.record.completion
                if rank and said.failure and segment.epoch < shelf.retry_epoch:
                    continue
                ledger.fold(
                    said, Place(segment.epoch, segment.seq, placed.offset, rank)
                )
    return recent


async def _find_score(book: RunBook, task: Task) -> None:
    """Finds the score of the records that count, here or where an equal task was scored."""
    assert task.opened is not None
    task.score, task.scored_in = None, None
    here = Source(book.means.run_id, task.id)
    score = await _stored(book, here, "" if book.standing.ended else task.fingerprint)
    # What a run ended with stays, whatever answer came late.
    if score is not None and (book.standing.ended or task.is_answered_by(score)):
        task.score = score
        return
    for feed in task.opened.feeds:
        source = feed.source
        if source.task != task.id:
            # Upstream's files carry the model's key in their names.
            continue
        score = await _stored(book, source, task.fingerprint_in(source.run_id))
        if score and task.is_answered_by(score, source) and _scored_alike(score):
            task.score, task.scored_in = score, source
            return


async def _stored(
    book: RunBook, source: Source, fingerprint: str
) -> StoredScore | None:
    return await book.means.block(
        scores.find, book.means.store, source.run_id, source.task, fingerprint
    )


def _scored_alike(score: StoredScore) -> bool:
    """Whether the score of a former execution is one that would be computed now: by equal versions."""
    told = {name.lower(): version for name, version in score.provenance.items()}
    present = {k.lower(): v for k, v in installed_versions().items() if v != "none"}
    return all(told.get(name, version) == version for name, version in present.items())
