"""An aggregator that is killed at one of its writes, and the life of two executions that goes on.

The kill is total: the write is done or not, and nothing this process does afterwards reaches the store.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from assay.domain.errors import NotLeaderError, TransientError
from assay.domain.report import RunState
from assay.domain.score import Metric
from assay.domain.task import TaskState
from assay.rpc.score_client import ScoreClient, ScoreOutcome
from assay.store import keys
from support.aggregator import TASK, Folder, a_run, answer, failure
from support.many_runs import Fleet, fleet

FIRST, SECOND = a_run(), a_run(coverage_threshold=0.9)
COUNT = 4


class KilledStore:
    """A store whose process is killed at its `at`-th write, before it is done or after."""

    def __init__(
        self, inner: Any, at: int | None = None, *, after: bool = False
    ) -> None:
        self.inner, self.at, self.after = inner, at, after
        self.writes = 0
        self.dead = False

    def put(self, key: str, data: bytes) -> None:
        self._write(lambda: self.inner.put(key, data))

    def put_file(self, key: str, path: Any) -> None:
        self._write(lambda: self.inner.put_file(key, path))

    def _write(self, write: Any) -> None:
        self._see_alive()
        self.writes += 1
        dies = self.writes == max(self.at, 1) if self.at is not None else False
        if not dies or self.after:
            write()
        self.dead |= dies
        self._see_alive()

    def _see_alive(self) -> None:
        if self.dead:
            raise NotLeaderError("killed")

    def __getattr__(self, name: str) -> Any:
        self._see_alive()
        return getattr(self.inner, name)


class Life:
    """What a controller, workers and scorers do with two executions, each step until it is done."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self.asked: list[int] = []
        self._failing = True
        self._stage = 0

    async def go_on(self, runs: Fleet) -> None:
        """Goes on where it was when the aggregator was killed; every call may be one that was made."""
        stages = (self._begin, self._follow, self._end, self._again, self._end)
        while self._stage < len(stages):
            await stages[self._stage](runs)
            self._stage += 1

    async def _begin(self, runs: Fleet) -> None:
        await runs.start(self._folder, "one", FIRST, keep_ended=True)
        await self._work(runs, "one", most=2)

    async def _follow(self, runs: Fleet) -> None:
        await runs.client("one").close()
        await runs.start(self._folder, "two", SECOND, adopts=["one"], keep_ended=True)

    async def _end(self, runs: Fleet) -> None:
        await runs.start(self._folder, "two", SECOND, adopts=["one"], keep_ended=True)
        if (await runs.client("two").get()).state is not RunState.RUNNING:
            return
        await self._work(runs, "two")
        if (await runs.task_of("two")).state is TaskState.INFERRED:
            await score(runs, "two")
        await runs.client("two").finish()

    async def _again(self, runs: Fleet) -> None:
        self._failing = False
        await runs.client("two").retry()

    async def _work(self, runs: Fleet, run_id: str, most: int = COUNT) -> None:
        """Asks what is handed out, at most so much; the last sample fails at first."""
        worker = runs.worker(f"w-of-{run_id}", run_id=run_id)
        await worker.extend([], None)
        # After a restart those that wrote lately are waited for: they may be asking still.
        grant = await worker.lease(most, 20)
        for lease in grant.leases:
            for sample in lease.samples:
                self.asked.append(sample.ordinal)
                bad = self._failing and sample.ordinal == COUNT - 1
                said = (
                    failure(3) if bad else answer(sample.ordinal, f"A{sample.ordinal}")
                )
                await worker.commit(TASK, [said])


async def score(runs: Fleet, run_id: str) -> None:
    """Scores the run's task; its table holds what came down."""
    scorer = ScoreClient(runs.channel, run_id=run_id, task=TASK)
    async with scorer.claim(timeout=30) as session:
        await session.head()
        inputs = [i async for i in session.inputs() if not isinstance(i, bytes)]
        rows = {i.sample_id: i.completion.text for i in inputs}
        good = sum(text is not None for text in rows.values())
        await session.send_file("samples.parquet", [json.dumps(rows).encode()])
        metric = Metric(
            name="Overall", split="none", value=25.0 * good, scale=(0, 100), n=good
        )
        outcome = ScoreOutcome(
            scored=good, unscored=COUNT - good, metrics=[metric] if good else []
        )
        await session.finish(outcome)


@asynccontextmanager
async def killable(
    folder: Folder, store: Any, at: int | None, *, after: bool
) -> AsyncIterator[tuple[Fleet, KilledStore]]:
    """An aggregator that is killed at that write; None: never."""
    made = KilledStore(store, at, after=after)
    async with fleet(folder, made) as runs:
        yield runs, made


async def lived(
    folder: Folder, store: Any, at: int | None = None, *, after: bool = False
) -> tuple[Life, int]:
    """The whole life over a store, with one kill at most; returns it, and how many writes it took."""
    life = Life(folder)
    async with killable(folder, store, at, after=after) as (runs, killed):
        try:
            await life.go_on(runs)
        except TransientError:
            assert killed.dead
    if killed.dead:
        async with killable(folder, store, None, after=False) as (runs, _):
            await life.go_on(runs)
    return life, killed.writes


def left(store: Any, run_id: str) -> dict[str, bytes]:
    """What every life of equal answers leaves of a run, byte by byte."""
    names = ("metrics.json", f"samples/{TASK}.parquet")
    return {name: store.get(keys.result(run_id, name)) for name in names}
