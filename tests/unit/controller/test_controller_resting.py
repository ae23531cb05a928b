"""Runs that have ended are asked about together, and woken one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from assay.controller.resting import Resting
from assay.domain.errors import UnavailableError
from assay.domain.report import RunState
from assay.domain.snapshot import RunSummary


class Store:
    """Lists runs; `away`: it cannot for so many times."""

    def __init__(self, *states: str) -> None:
        self.states = list(states)
        self.away = 0
        self.listings = 0

    async def runs(self) -> AsyncIterator[RunSummary]:
        self.listings += 1
        if self.away:
            self.away -= 1
            raise UnavailableError("the aggregator is away")
        for place, state in enumerate(self.states):
            yield RunSummary(run_id=f"r{place}", name="", state=RunState(state))


async def looked(store: Store, made: Resting, times: int) -> None:
    """Returns after so many listings."""
    task = asyncio.create_task(made.run())
    async with asyncio.timeout(30):
        while store.listings < times:  # noqa: ASYNC110 - the listing is what is awaited
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_only_the_run_that_goes_on_is_woken() -> None:
    store, woken = Store("COMPLETE", "RUNNING", "FAILED", "SUPERSEDED"), []
    made = Resting(store.runs, every=0.0)
    for place in range(4):
        assert made.rest(f"r{place}", lambda place=place: woken.append(place))
    await looked(store, made, 1)
    assert sorted(set(woken)) == [1, 3]
    assert [made.rest(f"r{n}", woken.clear) for n in range(4)] == [True, False] * 2


async def test_an_aggregator_that_is_away_is_asked_again() -> None:
    store, woken = Store("RUNNING"), asyncio.Event()
    store.away = 2
    made = Resting(store.runs, every=0.0)
    made.rest("r0", woken.set)
    await looked(store, made, 3)
    assert woken.is_set()


async def test_nobody_is_asked_while_no_run_rests() -> None:
    store = Store("COMPLETE")
    made = Resting(store.runs, every=0.0)
    made.rest("r0", lambda: None)
    made.leave("r0")
    task = asyncio.create_task(made.run())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert store.listings == 0
