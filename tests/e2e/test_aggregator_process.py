"""The aggregator as a process: held runs, kills, ends in good order, and disks that refuse."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from assay.domain.errors import AssayError, StoreFullError, UnavailableError
from assay.domain.lease import CommitOutcome
from assay.process.contract import ExitCode
from assay.store.segments import decode_segment
from support.aggregator import TASK, Folder, answer
from support.aggregator_holder import HOLDER
from support.aggregator_process import (
    AggregatorProcess,
    aggregator_process,
    logged,
)
from support.local_runs import until

pytestmark = pytest.mark.e2e

WON, LOST = CommitOutcome.WON, CommitOutcome.LOST
ROUNDS, BATCH, SAMPLES = 8, 40, 20_000
SEED = 20


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path, count=10)


@pytest.fixture
def large(tmp_path):
    return Folder(tmp_path, count=SAMPLES)


@pytest.fixture
def small_disk(tmp_path):
    """A run's folder on a file system of its own with 512 KiB, and how to change its mount."""
    run_dir = tmp_path / "run"
    run_dir.mkdir()

    def mount(*options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", run_dir]
        subprocess.run(command, check=True, capture_output=True, timeout=10)

    try:
        mount("size=512k")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small file system is not allowed here")
    yield Folder(tmp_path, count=10), lambda option: mount("remount", option)
    subprocess.run(["umount", "-l", run_dir], check=True, timeout=10)


async def test_a_second_aggregator_of_a_run_exits_and_names_the_holder(folder):
    async with aggregator_process(folder) as (_, clients):
        await clients.begin(folder)
        second = await AggregatorProcess.start(folder)
        assert await second.ended() == ExitCode.HELD
        # Its starter would start it anew: that is whom to end.
        assert f"process {os.getpid()} on" in await second.said()
        await second.end()
        assert await clients.worker().commit(TASK, [answer(0)]) == (WON,)


class Committers:
    """Two clients that commit until their aggregator dies, and what they were told."""

    def __init__(self):
        self.won = {}
        self.durable = set()
        self.sent = 0
        self.enough = asyncio.Event()
        self.target = SAMPLES

    async def work(self, client, mine, round_number):
        for start in range(0, len(mine), BATCH):
            batch = [answer(n, f"{n}-{round_number}") for n in mine[start:][:BATCH]]
            self.sent += len(batch)
            outcomes = await client.commit(TASK, batch)
            for sent, outcome in zip(batch, outcomes, strict=True):
                self.durable.add(sent.ordinal)
                if outcome is WON:
                    self.won[sent.ordinal] = sent.text
            if len(self.durable) >= self.target:
                self.enough.set()

    async def until_killed(self, process, clients, round_number, luck):
        self.enough.clear()
        self.target = len(self.durable) + luck.randrange(1, 40 * BATCH)
        left = [n for n in range(SAMPLES) if n not in self.durable]
        work = [
            asyncio.create_task(
                self.work(clients.worker(f"w{k}"), left[k::2], round_number)
            )
            for k in range(2)
        ]
        async with asyncio.timeout(60):
            await self.enough.wait()
        await asyncio.sleep(luck.uniform(0, 0.02))
        process.send(signal.SIGKILL)
        for outcome in await asyncio.gather(*work, return_exceptions=True):
            assert isinstance(outcome, UnavailableError | None), outcome


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"lock": "lease"}, "the claim has no name"),
        ({"lock": "lease", "lease": "demo"}, "runs in no pod"),
    ],
)
async def test_a_claim_that_cannot_be_made_ends_it_and_is_named(folder, config, words):
    process = await AggregatorProcess.start(folder, **config)
    try:
        assert await process.ended() == ExitCode.FAILED
        assert words in await process.said()
    finally:
        await process.end()


async def test_a_killed_aggregator_has_every_answer_it_acknowledged(large, capsys):
    luck, told = random.Random(SEED), Committers()
    for number in range(ROUNDS):
        async with aggregator_process(large) as (process, clients):
            await clients.begin(large)
            await told.until_killed(process, clients, number, luck)
    async with aggregator_process(large) as (_, clients):
        replayed = (await clients.task()).counts.predicted
        left = [n for n in range(SAMPLES) if n not in told.durable]
        await clients.worker().commit(TASK, [answer(n, "end") for n in left])
        found = await clients.predictions()
    lost = [n for n, text in told.won.items() if found[n] != text]
    with capsys.disabled():
        sys.stdout.write(
            f"\n{ROUNDS} kills: sent {told.sent}, acknowledged {len(told.durable)},"
            f" replayed {replayed}, lost {len(lost)}\n"
        )
    assert lost == []
    assert len(told.durable) <= replayed <= told.sent


async def test_answers_on_their_way_to_the_disk_at_sigterm_are_acknowledged(folder):
    command = (str(HOLDER), "before_put")
    async with aggregator_process(folder, command) as (process, clients):
        await clients.begin(folder)
        batch = [answer(n, f"PAUSE-{n}") for n in range(3)]
        commit = asyncio.create_task(clients.worker().commit(TASK, batch))
        await process.stopped()
        process.send(signal.SIGTERM)
        process.send(signal.SIGCONT)
        assert await commit == (WON,) * 3
        assert await process.ended() == ExitCode.OK
    assert [n for n, _ in folder.records()] == [0, 1, 2]


async def test_a_store_that_never_answers_does_not_keep_a_process_from_ending(folder):
    command = (str(HOLDER), "no_answer")
    async with aggregator_process(folder, command, stop_grace=0.5) as (
        process,
        clients,
    ):
        await clients.begin(folder)
        commit = asyncio.create_task(
            clients.worker().commit(TASK, [answer(0, "PAUSE")])
        )
        await asyncio.to_thread(
            until, lambda: logged(folder, "store did not answer"), "a write is refused"
        )
        process.send(signal.SIGTERM)
        with pytest.raises(UnavailableError):
            await commit
        assert await process.ended() == ExitCode.OK
    assert folder.records() == []


async def test_at_sigterm_each_answer_is_acknowledged_or_its_sender_is_told(folder):
    async with aggregator_process(folder) as (process, clients):
        await clients.begin(folder)
        await clients.worker().commit(TASK, [answer(0)])
        commits = [
            asyncio.create_task(clients.worker().commit(TASK, [answer(n)]))
            for n in range(1, 10)
        ]
        await asyncio.sleep(0)
        process.send(signal.SIGTERM)
        outcomes = await asyncio.gather(*commits, return_exceptions=True)
        assert await process.ended() == ExitCode.OK
    kept = {n for n, _ in folder.records()} - {0}
    assert {n for n, told in enumerate(outcomes, 1) if told == (WON,)} <= kept
    refused = [told for told in outcomes if told != (WON,)]
    assert all(isinstance(told, UnavailableError) for told in refused), refused


def places_to_cut(data):
    """By name: how many bytes are left of a segment, and how many of its records."""
    offsets = [p.offset for p in decode_segment(data, "").records]
    return {
        "nothing left": (0, 0),
        "inside the magic": (2, 0),
        "inside the head": (15, 0),
        "before the first record": (offsets[0], 0),
        "inside a frame's length": (offsets[2] + 3, 2),
        "inside a record": (offsets[3] + 11, 3),
        "between records": (offsets[5], 5),
        "one byte short": (len(data) - 1, len(offsets) - 1),
    }


@pytest.fixture
async def two_segments(folder):
    """A run whose first segment holds samples 0 and 1, and whose last holds 2 to 9."""
    async with aggregator_process(folder) as (process, clients):
        await clients.begin(folder)
        await clients.worker().commit(TASK, [answer(n, f"A{n}") for n in (0, 1)])
        rest = [answer(n, f"A{n}") for n in range(2, 10)]
        await clients.worker().commit(TASK, rest)
        process.send(signal.SIGTERM)
        await process.ended()
    assert len(folder.segments()) == 2
    return folder


@pytest.mark.parametrize("place", list(range(8)))
async def test_what_is_torn_off_a_segment_is_named_and_asked_again(two_segments, place):
    tail = two_segments.segments()[-1]
    data = tail.read_bytes()
    left, kept = list(places_to_cut(data).values())[place]
    tail.write_bytes(data[:left])
    async with aggregator_process(two_segments, lease_seconds=0.01) as (_, clients):
        counts = (await clients.task()).counts
        assert (counts.predicted, counts.pending) == (2 + kept, 8 - kept)
        again = [answer(n, f"B{n}") for n in range(10)]
        await clients.worker().commit(TASK, again)
        found = await clients.predictions()
    assert found == {n: f"{'A' if n < 2 + kept else 'B'}{n}" for n in range(10)}
    lines = logged(two_segments, "segment torn: the rest is asked again")
    lines += logged(two_segments, "segment lost: asked again")
    assert {line["key"].rpartition("/")[2] for line in lines} == {tail.name}


async def test_a_changed_byte_costs_what_follows_it_and_nothing_else(two_segments):
    first = two_segments.segments()[0]
    data = bytearray(first.read_bytes())
    data[-1] ^= 1
    first.write_bytes(data)
    async with aggregator_process(two_segments) as (_, clients):
        counts = (await clients.task()).counts
    assert (counts.predicted, counts.pending) == (9, 1)
    (line,) = logged(two_segments, "segment torn: the rest is asked again")
    assert "wrong checksum" in line["torn"]


@contextmanager
def read_only(path):
    """A folder below a running aggregator that may only be read."""
    for command in (["--bind", path, path], ["-o", "remount,bind,ro", path]):
        subprocess.run(["mount", *command], check=True, timeout=10)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=True, timeout=10)


async def fill(clients):
    """Commits large answers until the disk refuses one; returns how many and the refusal."""
    for ordinal in range(10):
        try:
            big = answer(ordinal, str(ordinal) * 100_000)
            await clients.worker().commit(TASK, [big])
        except AssayError as error:
            return ordinal, error
    raise AssertionError("the disk is never full")


async def test_a_full_disk_refuses_clearly_and_goes_on_when_there_is_room(small_disk):
    folder, remount = small_disk
    async with aggregator_process(folder) as (_, clients):
        await clients.begin(folder)
        kept, refusal = await fill(clients)
        assert isinstance(refusal, StoreFullError)
        assert "No space left" in refusal.message
        assert "make room" in refusal.cure
        assert (await clients.task()).counts.predicted == kept
        remount("size=8m")
        for ordinal in range(10):
            text = str(ordinal) * 100_000
            outcome = await clients.worker().commit(TASK, [answer(ordinal, text)])
            # What was refused is written first: the same answer sent again has lost to itself.
            assert outcome == ((LOST if ordinal <= kept else WON),)
    async with aggregator_process(folder) as (_, clients):
        found = await clients.predictions()
    assert found == {n: str(n) * 100_000 for n in range(10)}


async def test_a_run_folder_that_turns_read_only_refuses_commits_and_keeps_the_rest(
    small_disk,
):
    folder, _ = small_disk
    async with aggregator_process(folder) as (_, clients):
        await clients.begin(folder)
        await clients.worker().commit(TASK, [answer(0, "A")])
        with read_only(folder.segments()[0].parents[2]):
            with pytest.raises(StoreFullError, match="Read-only") as refused:
                await clients.worker().commit(TASK, [answer(1, "B")])
            assert "writable" in refused.value.cure
        await clients.worker().commit(TASK, [answer(1, "B")])
        assert (await clients.task()).counts.predicted == 2
    assert folder.records()[:2] == [(0, "A"), (1, "B")]


async def test_an_aggregator_on_a_read_only_folder_says_so_and_ends(small_disk):
    folder, remount = small_disk
    async with aggregator_process(folder) as (_, clients):
        await clients.begin(folder)
        await clients.worker().commit(TASK, [answer(0, "A")])
    remount("ro")
    refused = await AggregatorProcess.start(folder)
    assert await refused.ended() == ExitCode.FAILED
    message = await refused.said()
    await refused.end()
    assert "Read-only file system" in message
    assert "writable" in message
    remount("rw")
    async with aggregator_process(folder) as (_, clients):
        assert (await clients.task()).counts.predicted == 1
