"""The runs that one aggregator serves: on one machine a single one, in a cluster all of a release.

The servicer asks for a run at every call. One that this process does not hold yet is taken over from the
store, once, while its callers wait: a restarted aggregator needs nobody to tell it what it served. Of the
runs that have ended it holds so many as fit, those asked about last.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar

import structlog

from assay.aggregator.desk import ScoreDesk, WorkDesk
from assay.aggregator.means import Means
from assay.aggregator.runbook import RunBook
from assay.aggregator.service import AggregatorService
from assay.aggregator.summaries import stored_summary, summary_of
from assay.domain.errors import AssayError, ConfigError, NotFoundError
from assay.domain.snapshot import RunSnapshot, RunSummary
from assay.store import keys

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)

RESTING_SAMPLES = 1_000_000
"""About 200 bytes each, with their names."""
_LOADING = 2
"""Runs that are read from the store at a time: threads are left for those that are being answered."""
_PAGE, _MOST_PAGE = 100, 500
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
"""What may stand in keys of the store, and in file names."""


@dataclass(frozen=True, slots=True)
class ServedRun:
    """One run, and who decides about what of it."""

    book: RunBook
    service: AggregatorService
    work: WorkDesk
    scoring: ScoreDesk

    @property
    def rests(self) -> bool:
        """Whether it has ended and nobody is at it: it may be let go, and be taken over again."""
        book, followed = self.book, any(self.book.followers.values())
        at_it = self.service.busy or any(t.scorers for t in book.tasks.values())
        return book.standing.ended and not followed and not at_it


class Runs:
    """Finds, takes over and lets go."""

    def __init__(
        self,
        means: Callable[[str], Means],
        *,
        only: str = "",
        resting: int = RESTING_SAMPLES,
    ) -> None:
        """Holds no run yet.

        Args:
            means: what an aggregator works with for the run of that id.
            only: the one run to serve; empty: any.
            resting: samples of ended runs that it keeps in memory.
        """
        self._means = means
        self._only = only
        self._begun: dict[str, asyncio.Task[RunBook]] = {}
        # Those asked about last stand last.
        self._taken: dict[str, asyncio.Task[ServedRun]] = {}
        self._leaving: dict[str, asyncio.Task[None]] = {}
        self._resting = resting
        self._loading = asyncio.Semaphore(_LOADING)
        self.lost: asyncio.Future[AssayError] = (
            asyncio.get_running_loop().create_future()
        )
        """Set when this process may not acknowledge any more: the reason to end it."""

    async def get(self, run_id: str) -> ServedRun:
        """A run that was opened, in this process or a former one.

        Raises:
            NotFoundError: it never was.
            AssayError: it cannot be taken over from the store.
        """
        if run_id not in self._taken:
            await self._check_known(run_id)
        served = await self._take(run_id)
        _ = served.book.pinned
        return served

    async def open(
        self,
        run_id: str,
        spec_json: bytes,
        *,
        adopts: Sequence[str] = (),
        keep_ended: bool = False,
    ) -> RunSnapshot:
        """Accepts a run, or recognises it.

        Raises:
            ConflictError: it is here with another spec.
            ConfigError: its spec or its id cannot be taken.
            EndpointChangedError: a model that has answered is asked elsewhere now.
            NotFoundError: this aggregator serves another run, or one to go on from never was accepted.
        """
        self._check_name(run_id)
        if not _RUN_ID.fullmatch(run_id):
            raise ConfigError(
                "run_id",
                f"{run_id[:50]!r} cannot stand in file names",
                "use letters, digits, dots, dashes and underscores, at most 200",
            )
        served = await self._take(run_id)
        return await served.service.open(
            run_id, spec_json, adopts=adopts, keep_ended=keep_ended
        )

    async def close(self, run_id: str) -> RunSnapshot:
        """Ends a run's work because another execution follows.

        Raises:
            NotFoundError: it was never opened.
        """
        served = await self.get(run_id)
        view = await served.service.close()
        if served.book.standing.dropped:
            served.scoring.dismiss()
        return view

    async def cancel(self, run_id: str) -> RunSnapshot:
        """Ends a run for good.

        Raises:
            NotFoundError: it was never opened.
        """
        served = await self.get(run_id)
        view = await served.service.cancel()
        if served.book.standing.dropped:
            served.scoring.dismiss()
        return view

    async def means_of(self, run_id: str) -> Means:
        """What to read a run with that was opened once, without taking it over.

        Raises:
            NotFoundError: it never was.
        """
        if run_id not in self._taken:
            await self._check_known(run_id)
        return self._means(run_id)

    async def page(self, token: str, size: int) -> tuple[list[RunSummary], str]:
        """Runs of the store behind a token, and the token of the next page.

        Raises:
            ConfigError: the token is none.
        """
        if token and not _RUN_ID.fullmatch(token):
            raise ConfigError(
                "page_token",
                f"{token[:50]!r} is none",
                "use the one of the page before",
            )
        size = min(size if size > 0 else _PAGE, _MOST_PAGE)
        found = await self._names(token, size + 1)
        lines = await asyncio.gather(*map(self._summary, found[:size]))
        known = [line for line in lines if line is not None]
        return known, found[size - 1] if len(found) > size else ""

    async def _names(self, after: str, most: int) -> list[str]:
        if self._only:
            return [self._only] * (after < self._only)
        means = self._means("")
        return await means.block(
            lambda: list(islice(means.store.folders(keys.runs(), after), most))
        )

    async def _summary(self, run_id: str) -> RunSummary | None:
        """One line of a list; None: the run was never accepted."""
        task = self._taken.get(run_id)
        if task is not None and _is_there(task):
            book = task.result().book
            return summary_of(book) if book.is_open else None
        means = self._means(run_id)
        return await means.block(stored_summary, means)

    async def restore(self) -> ServedRun:
        """Takes the only run over as far as it is in the store, before anybody asks.

        Raises:
            AssayError: it cannot be taken over.
        """
        return await self._take(self._only)

    def present(self) -> list[RunBook]:
        """The runs that this process holds now."""
        return [task.result().book for task in self._taken.values() if _is_there(task)]

    async def stop(self) -> None:
        """Lets watchers go and returns when everything that has arrived is written, or cannot be."""
        books = self.present()
        for task in self._taken.values():
            task.cancel()
        for book in books:
            book.stopping = True
            book.changes.note()
        await asyncio.gather(
            *(book.stop_writers() for book in books), *self._leaving.values()
        )

    def lose(self, error: AssayError) -> None:
        """Says that this process may not acknowledge any more."""
        if not self.lost.done():
            self.lost.set_result(error)

    def _check_name(self, run_id: str) -> None:
        if self._only and run_id != self._only:
            raise NotFoundError(
                f"cannot find run {run_id}: this aggregator serves {self._only}"
            )

    async def _check_known(self, run_id: str) -> None:
        self._check_name(run_id)
        missing = NotFoundError(f"cannot find run {run_id}: it was never opened")
        if not _RUN_ID.fullmatch(run_id):
            raise missing
        means = self._means(run_id)
        if await means.block(means.store.size, keys.spec(run_id)) is None:
            raise missing

    async def former(self, run_id: str) -> RunBook:
        """A run that another goes on from, taken over at least as far as its epoch.

        Raises:
            NotFoundError: it never was accepted.
        """
        while run_id in self._leaving:
            await asyncio.shield(self._leaving[run_id])
        if run_id not in self._begun:
            await self._check_known(run_id)
        return await _shared(self._begun, run_id, self._begin)

    async def _take(self, run_id: str) -> ServedRun:
        """The run as this process holds it, taken over first if it does not; callers share one take-over."""
        while run_id in self._leaving:
            await asyncio.shield(self._leaving[run_id])
        one_more = run_id not in self._taken
        served = await _shared(self._taken, run_id, self._take_over)
        if run_id in self._taken:
            self._taken[run_id] = self._taken.pop(run_id)
        if one_more:
            self._let_go(but=run_id)
        return served

    def _left(self, run_id: str, _: asyncio.Task[None]) -> None:
        del self._leaving[run_id]

    def _let_go(self, *, but: str) -> None:
        """Lets ended runs go that nobody asked about lately, where they are more than are kept."""
        resting = {
            run_id: task.result().book
            for run_id, task in self._taken.items()
            if _is_there(task) and task.result().rests
        }
        kept = sum(_samples_of(book) for book in resting.values())
        for run_id, book in resting.items():
            if kept <= self._resting or self._only:
                return
            if run_id != but:
                kept -= _samples_of(book)
                del self._taken[run_id], self._begun[run_id]
                leaving = asyncio.create_task(book.leave())
                self._leaving[run_id] = leaving
                leaving.add_done_callback(partial(self._left, run_id))
                _log.info("ended run let go", run_id=run_id)

    async def _begin(self, run_id: str) -> RunBook:
        book = RunBook(self._means(run_id), self.former)
        book.lost.add_done_callback(lambda lost: self.lose(lost.result()))
        await book.begin()
        return book

    async def _take_over(self, run_id: str) -> ServedRun:
        # A run that goes on from others needs them begun, never loaded: they may go on from it as well.
        book = await _shared(self._begun, run_id, self._begin)
        if book.is_open:
            async with self._loading:
                await book.load()
            await _see_page(book)
        return ServedRun(book, AggregatorService(book), WorkDesk(book), ScoreDesk(book))


async def _see_page(book: RunBook) -> None:
    """Has the page drawn of a run whose aggregator ended before it was."""
    means, stands = book.means, book.standing
    if stands.ended and not stands.dropped:
        page = keys.result(means.run_id, "report.html")
        if await means.block(means.store.size, page) is None:
            means.ended(means.run_id)


def _samples_of(book: RunBook) -> int:
    """Samples that are held in memory."""
    return sum(t.opened.ledger.total for t in book.tasks.values() if t.opened)


def _is_there(task: asyncio.Task[ServedRun]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


async def _shared(
    tasks: dict[str, asyncio.Task[_T]],
    run_id: str,
    make: Callable[[str], Coroutine[None, None, _T]],
) -> _T:
    """What is made once for a run; a making that failed may be tried again by the next caller."""
    task = tasks.get(run_id)
    if task is None:
        task = tasks[run_id] = asyncio.create_task(make(run_id))

        def made(done: asyncio.Task[_T]) -> None:
            if done.cancelled() or done.exception() is not None:
                tasks.pop(run_id, None)

        task.add_done_callback(made)
    if task.done():
        return task.result()
    # A caller that gives up leaves the others their run.
    return await asyncio.shield(task)
