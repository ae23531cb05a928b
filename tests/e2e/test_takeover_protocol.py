"""A holder that is stopped at the worst moment, overtaken, and let go: no answer is lost and none flips."""

import asyncio
import os
import signal

import pytest

from assay.domain.errors import NotLeaderError, UnavailableError
from assay.domain.lease import CommitOutcome
from assay.process.contract import ExitCode
from support.aggregator import TASK, Folder, answer
from support.aggregator_holder import HOLDER
from support.aggregator_process import (
    AggregatorProcess,
    aggregator_process,
    logged,
)

pytestmark = pytest.mark.e2e

WON, LOST = CommitOutcome.WON, CommitOutcome.LOST
TERMS = {"lock": "deadline", "lock_seconds": 2.0, "lease_seconds": 0.5}
FIRST = 1001
"""The epoch of the first claim on a folder."""


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path, count=4)


class Holder:
    """A holder with one acknowledged answer that has stopped within the commit of another."""

    def __init__(self, process, commit):
        self.process = process
        self._commit = commit

    @classmethod
    async def stopped(cls, folder, process, clients):
        await clients.begin(folder)
        assert await clients.worker().commit(TASK, [answer(0, "first")]) == (WON,)
        late = [answer(1, "PAUSE-1")]
        commit = asyncio.create_task(clients.worker().commit(TASK, late))
        await process.stopped()
        return cls(process, commit)

    async def let_go(self):
        """Runs on to its end; returns what its client was told, an exception or outcomes."""
        self.process.send(signal.SIGCONT)
        (told,) = await asyncio.gather(self._commit, return_exceptions=True)
        assert await self.process.ended() == ExitCode.RETRY
        return told


async def decide_the_rest(folder):
    """A successor that asks what is open and more; returns what it said of sample 1."""
    async with aggregator_process(folder, **TERMS) as (process, clients):
        rest = [answer(n, f"B{n}") for n in range(4)]
        outcomes = await clients.worker("v").commit(TASK, rest)
        assert outcomes[0] is LOST
        assert outcomes[2:] == (WON, WON)
        process.send(signal.SIGTERM)
        assert await process.ended() == ExitCode.OK
    return outcomes[1]


async def what_counts(folder):
    async with aggregator_process(folder, **TERMS) as (process, clients):
        found = await clients.predictions()
        process.send(signal.SIGTERM)
        assert await process.ended() == ExitCode.OK
    return found


def holder(folder, moment):
    return aggregator_process(folder, (str(HOLDER), moment), **TERMS)


def decided(first):
    return {0: "first", 1: first, 2: "B2", 3: "B3"}


async def test_a_write_that_comes_after_the_successor_decided_is_void(folder):
    async with holder(folder, "before_put") as (process, clients):
        former = await Holder.stopped(folder, process, clients)
        assert await decide_the_rest(folder) is WON
        assert len(folder.segments(epoch=FIRST)) == 1
        assert isinstance(await former.let_go(), NotLeaderError)
    assert len(folder.segments(epoch=FIRST)) == 2
    assert await what_counts(folder) == decided("B1")


async def test_a_write_that_comes_after_two_successors_is_void(folder):
    async with holder(folder, "before_put") as (process, clients):
        former = await Holder.stopped(folder, process, clients)
        assert await decide_the_rest(folder) is WON
        assert await what_counts(folder) == decided("B1")
        assert isinstance(await former.let_go(), NotLeaderError)
    assert await what_counts(folder) == decided("B1")


async def test_what_was_written_and_not_acknowledged_is_the_successors_to_keep(folder):
    async with holder(folder, "after_put") as (process, clients):
        former = await Holder.stopped(folder, process, clients)
        assert await decide_the_rest(folder) is LOST
        assert isinstance(await former.let_go(), NotLeaderError)
    assert await what_counts(folder) == decided("PAUSE-1")


async def test_an_acknowledgement_that_comes_late_is_true(folder):
    """It had been checked within the deadline: whoever took over after it has that answer."""
    async with holder(folder, "before_ack") as (process, clients):
        former = await Holder.stopped(folder, process, clients)
        assert await decide_the_rest(folder) is LOST
        told = await former.let_go()
    assert told == (WON,) or isinstance(told, UnavailableError | NotLeaderError)
    assert await what_counts(folder) == decided("PAUSE-1")


async def test_a_stopped_holder_that_wakes_with_nothing_to_write_must_go(folder):
    async with aggregator_process(folder, **TERMS) as (process, clients):
        await clients.begin(folder)
        process.send(signal.SIGSTOP)
        await process.stopped()
        async with aggregator_process(folder, **TERMS) as (_, successor):
            assert (await successor.task()).counts.pending == 4
            process.send(signal.SIGCONT)
            assert await process.ended() == ExitCode.RETRY
            await successor.worker().commit(TASK, [answer(0)])
    assert "has it" in logged(folder, "must go")[0]["error"]


async def test_a_holder_that_renews_is_not_overtaken_and_is_named(folder):
    async with aggregator_process(folder, **TERMS) as (_, clients):
        await clients.begin(folder)
        second = await AggregatorProcess.start(folder, **TERMS)
        assert await second.ended() == ExitCode.HELD
        assert f"process {os.getpid()} on" in await second.said()
        await second.end()
        assert await clients.worker().commit(TASK, [answer(0)]) == (WON,)
