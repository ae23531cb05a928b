"""The aggregator through its calls: what was acknowledged is on the disk, and survives whatever comes."""

import asyncio
import json
from contextlib import aclosing
from functools import partial

import pytest

from assay.domain.errors import (
    ConflictError,
    NotFoundError,
    PermanentError,
    StoreFullError,
    StoreUnavailableError,
    UnauthenticatedError,
)
from assay.domain.lease import CommitOutcome, HeldLease, QueueState
from assay.domain.report import RunState
from assay.domain.sample import UnscoredReason
from assay.domain.score import Metric
from assay.domain.task import TaskId, TaskState
from assay.rpc.channel import open_channel
from assay.rpc.run_client import RunClient
from assay.rpc.score_client import ScoreOutcome
from support.aggregator import (
    DATASET,
    RUN,
    TASK,
    FaultyStore,
    Folder,
    a_run,
    answer,
    failure,
    served,
)

WON, LOST, REFUSED = CommitOutcome.WON, CommitOutcome.LOST, CommitOutcome.REFUSED
BOUNDS = {"bounds": (80.0, 100.0), "upstream_value": 80.0}
METRIC = Metric(
    name="Overall", split="none", value=100.0, scale=(0.0, 100.0), n=4, **BOUNDS
)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path, count=4)


def ordinals(grant):
    return [s.ordinal for lease in grant.leases for s in lease.samples]


def held(lease):
    return HeldLease(
        lease_id=lease.lease_id,
        task=lease.task,
        open_ordinals=tuple(s.ordinal for s in lease.samples),
    )


async def test_a_run_goes_from_open_to_a_report(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        worker = aggregator.worker()
        grant = await worker.lease(4, 0)
        sample = grant.leases[0].samples[3]
        assert (ordinals(grant), sample.sample_id) == ([0, 1, 2, 3], "3")
        assert sample.prompt.turns[0].parts[0].url.startswith("file://")
        outcomes = await worker.commit(TASK, [answer(n, f"A{n}") for n in range(4)])
        assert outcomes == (WON,) * 4
        assert (await worker.lease(4, 0)).state is QueueState.CLOSED
        outcome = ScoreOutcome(scored=4, unscored=0, metrics=[METRIC])
        told = await aggregator.score(outcome)
        assert told == {0: "A0", 1: "A1", 2: "A2", 3: "A3"}
        ended = await aggregator.run.finish()
    assert ended.state is RunState.COMPLETE
    assert (folder.run_dir / f"samples/{TASK}.parquet").read_bytes() == b"rows"
    report = json.loads((folder.run_dir / "report.json").read_bytes())
    found = report["tasks"][0]["metrics"][0]
    assert (found["value"], found["bounds"]) == (100.0, [80.0, 100.0])


async def test_a_commit_is_on_the_disk_when_it_is_acknowledged(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        for ordinal in range(4):
            await aggregator.worker().commit(TASK, [answer(ordinal, f"A{ordinal}")])
            assert (ordinal, f"A{ordinal}") in folder.records()


async def test_the_same_commit_again_is_acknowledged_and_stored_once(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        again = partial(aggregator.worker().commit, TASK, [answer(2)])
        assert [await again(), await again()] == [(WON,), (LOST,)]
        assert await aggregator.worker("v").commit(TASK, [answer(2, "B")]) == (LOST,)
    assert folder.records() == [(2, "A")]


async def test_simultaneous_commits_of_one_sample_have_one_winner(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        texts = "ABCDEF"
        outcomes = await asyncio.gather(
            *(aggregator.worker(t).commit(TASK, [answer(0, t)]) for t in texts)
        )
        assert sorted(outcomes) == [(LOST,)] * 5 + [(WON,)]
        winner = texts[outcomes.index((WON,))]
        await aggregator.worker().commit(TASK, [answer(n) for n in (1, 2, 3)])
        told = await aggregator.score(ScoreOutcome(scored=4, unscored=0))
    assert told[0] == winner


async def test_samples_that_are_not_in_the_task_are_refused_and_the_rest_kept(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        outcomes = await aggregator.worker().commit(TASK, [answer(4), answer(1)])
        assert outcomes == (REFUSED, WON)
        assert (await aggregator.task()).counts.predicted == 1
    assert folder.records() == [(1, "A")]


async def test_samples_beyond_the_limit_are_neither_leased_nor_taken(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder, a_run(limit=2))
        assert ordinals(await aggregator.worker().lease(9, 0)) == [0, 1]
        assert await aggregator.worker().commit(TASK, [answer(2)]) == (REFUSED,)


async def test_a_success_wins_over_an_earlier_error_also_after_a_restart(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        commit = partial(aggregator.worker().commit, TASK)
        assert await commit([failure(0)]) == (WON,)
        assert await commit([answer(0, "late")]) == (WON,)
        assert await commit([failure(0)]) == (LOST,)
        await commit([answer(n) for n in (1, 2, 3)])
    async with served(folder) as aggregator:
        told = await aggregator.score(ScoreOutcome(scored=4, unscored=0))
    assert told[0] == "late"


async def test_a_full_store_refuses_commits_until_there_is_room_and_loses_nothing(
    folder,
):
    full = StoreFullError("cannot write: no space", cure="make room")
    wrap = partial(FaultyStore, faults=[full] * 3)
    async with served(folder, wrap=wrap) as aggregator:
        await aggregator.begin(folder)
        worker = aggregator.worker()
        for batch in ([answer(0)], [answer(1), answer(2)], [answer(0)]):
            with pytest.raises(StoreFullError, match="no space") as refused:
                await worker.commit(TASK, batch)
            assert refused.value.cure == "make room"
        assert (await aggregator.task()).counts.predicted == 0
        await worker.commit(TASK, [answer(n) for n in range(4)])
        assert (await aggregator.task()).counts.predicted == 4
    async with served(folder) as aggregator:
        assert (await aggregator.task()).counts.predicted == 4


@pytest.mark.parametrize("after", [False, True])
async def test_a_write_of_unknown_fate_is_repeated_with_the_same_key_and_bytes(
    folder, after
):
    fault = StoreUnavailableError("the store did not answer", retry_after=0.01)
    stores = []

    def wrap(store):
        stores.append(FaultyStore(store, faults=[fault] * 2, after=after))
        return stores[0]

    async with served(folder, wrap=wrap) as aggregator:
        await aggregator.begin(folder)
        assert await aggregator.worker().commit(TASK, [answer(0)]) == (WON,)
    first, second, third = stores[0].puts
    assert first == second == third
    assert folder.records() == [(0, "A")]


async def test_another_digest_of_an_attached_dataset_is_a_conflict(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        attach = partial(aggregator.run.attach_dataset, DATASET, models=())
        with pytest.raises(ConflictError, match="its dataset was"):
            await attach(digest="f" * 64)
        await attach(digest=folder.digest)


async def test_a_pinned_dataset_stays_pinned_over_a_restart(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
    async with served(folder) as aggregator:
        with pytest.raises(ConflictError, match="its dataset was"):
            await aggregator.run.attach_dataset(DATASET, models=(), digest="f" * 64)


async def test_another_spec_is_a_conflict_and_the_same_one_is_none(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        await aggregator.run.open(a_run())
        with pytest.raises(ConflictError, match="another spec"):
            await aggregator.run.open(a_run(limit=3))
    async with served(folder) as aggregator:
        with pytest.raises(ConflictError, match="another spec"):
            await aggregator.run.open(a_run(limit=3))


async def test_a_dataset_that_is_not_prepared_is_not_found(folder):
    async with served(folder) as aggregator:
        await aggregator.run.open(a_run())
        with pytest.raises(NotFoundError, match="not prepared"):
            await aggregator.run.attach_dataset(DATASET, models=(), digest="f" * 64)
        with pytest.raises(NotFoundError, match="not attached"):
            await aggregator.worker().commit(TASK, [answer(0)])


async def test_samples_with_invalid_pictures_are_unscored_without_a_lease(tmp_path):
    folder = Folder(tmp_path, count=4, invalid={1: "its picture is no picture"})
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        worker = aggregator.worker()
        assert ordinals(await worker.lease(9, 0)) == [0, 2, 3]
        assert await worker.commit(TASK, [answer(1)]) == (REFUSED,)
        task = await aggregator.task()
        assert task.unscored_by_reason == {UnscoredReason.PICTURE_INVALID: 1}
        await worker.commit(TASK, [answer(n) for n in (0, 2, 3)])
        assert (await aggregator.task()).state is TaskState.INFERRED
        await aggregator.run.retry()
        assert (await aggregator.task()).state is TaskState.INFERRED


async def test_a_task_without_a_sendable_sample_is_inferred_at_once(tmp_path):
    folder = Folder(tmp_path, count=2, invalid=dict.fromkeys(range(2), "broken"))
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        grant = await aggregator.worker().lease(2, 20)
        assert (grant.leases, grant.state) == ((), QueueState.CLOSED)
        assert (await aggregator.task()).state is TaskState.INFERRED


async def test_a_retry_opens_errors_only_and_a_restart_does_not_undo_it(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        batch = [failure(0), answer(1), answer(2), failure(3)]
        await aggregator.worker().commit(TASK, batch)
        await aggregator.run.finish()
        assert (await aggregator.run.retry()).state is RunState.RUNNING
        assert ordinals(await aggregator.worker().lease(9, 0)) == [0, 3]
        assert await aggregator.worker().commit(TASK, [answer(3, "new")]) == (WON,)
    async with served(folder) as aggregator:
        counts = (await aggregator.task()).counts
        assert (counts.pending, counts.predicted, counts.unscored) == (1, 3, 0)
        assert await aggregator.worker().commit(TASK, [failure(0)]) == (WON,)
        outcome = ScoreOutcome(
            scored=3, unscored=1, unscored_by_reason={UnscoredReason.TIMEOUT: 1}
        )
        told = await aggregator.score(outcome)
    assert told == {0: None, 1: "A", 2: "A", 3: "new"}


async def test_a_retry_that_cannot_be_written_down_ends_the_process_and_changes_nothing(
    folder,
):
    full = StoreFullError("cannot write: no space", cure="make room")
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        await aggregator.worker().commit(TASK, [failure(0), answer(1)])
    wrap = partial(FaultyStore, faults=iter([full]), matching="epochs/00002002")
    async with served(folder, wrap=wrap) as aggregator:
        with pytest.raises(StoreFullError, match="no space"):
            await aggregator.run.retry()
        assert aggregator.book.lost.result().cure == "make room"
    async with served(folder) as aggregator:
        counts = (await aggregator.task()).counts
        assert (counts.pending, counts.predicted, counts.unscored) == (2, 1, 1)
        await aggregator.run.retry()
        assert (await aggregator.task()).counts.pending == 3


async def test_a_restart_takes_announced_leases_over_before_it_leases_again(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        (lease,) = (await aggregator.worker("w").lease(3, 0)).leases
        assert len(lease.samples) == 3
        await aggregator.worker("w").commit(TASK, [answer(0)])
    async with served(folder) as aggregator:
        asking = asyncio.create_task(aggregator.worker("v").lease(9, 20))
        assert ordinals(await aggregator.worker("u").lease(9, 0)) == []
        extended = await aggregator.worker("w").extend([held(lease)], None)
        assert [each.held for each in extended.leases] == [True]
        assert ordinals(await asking) == [3]


async def test_the_new_worker_of_a_seat_gets_what_the_former_held_at_once(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        first = await aggregator.worker("seat-0#a").lease(3, 0)
        assert ordinals(first) == [0, 1, 2]
        await aggregator.worker("seat-0#a").commit(TASK, [answer(1)])
        second = await aggregator.worker("seat-0#b").lease(9, 0)
        assert ordinals(second) == [0, 2, 3]


async def test_the_new_worker_of_a_seat_is_not_waited_for_after_a_restart(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        await aggregator.worker("seat-0#a").commit(TASK, [answer(0)])
    async with served(folder) as aggregator:
        grant = await aggregator.worker("seat-0#b").lease(9, 0)
    assert ordinals(grant) == [1, 2, 3]


async def test_released_samples_wake_a_worker_that_waits(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        (lease,) = (await aggregator.worker("w").lease(4, 0)).leases
        waiting = asyncio.create_task(aggregator.worker("v").lease(4, 25))
        await aggregator.worker("w").release([lease.lease_id])
        assert ordinals(await waiting)


async def test_a_watch_ends_when_the_run_is_finished(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        seen = []
        async with aclosing(aggregator.run.watch(0.01)) as views:
            async for view in views:
                if not seen:
                    await aggregator.run.finish("the user gave up")
                seen.append(view)
    assert (seen[0].state, seen[-1].state) == (RunState.RUNNING, RunState.FAILED)
    assert seen[-1].message == "the user gave up"


async def test_a_wrong_run_is_not_found_by_any_call(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        other = aggregator.client("run-2")
        worker = aggregator.worker(run_id="run-2")
        calls = [
            other.get(),
            other.retry(),
            other.finish(),
            anext(other.watch(0.1)),
            worker.lease(1, 0),
            worker.extend([], None),
            worker.commit(TASK, [answer(0)]),
            worker.release([]),
        ]
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(outcome, NotFoundError), outcome


async def test_an_aggregator_that_serves_another_run_does_not_open_a_new_one(folder):
    async with served(folder) as aggregator:
        with pytest.raises(NotFoundError, match="serves run-1"):
            await aggregator.client("run-2").open(a_run())
        with pytest.raises(NotFoundError, match="not open"):
            await aggregator.run.get()


async def test_an_unknown_task_or_dataset_is_not_found(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        with pytest.raises(NotFoundError, match="m/Other"):
            await aggregator.worker().commit(TaskId("m", "Other"), [answer(0)])
        with pytest.raises(NotFoundError, match="Other"):
            await aggregator.run.attach_dataset("Other", models=(), digest="f" * 64)


async def test_a_task_with_open_samples_is_not_given_to_a_scorer(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        with pytest.raises(PermanentError, match="INFERRING"):
            await aggregator.score(ScoreOutcome(scored=4, unscored=0))


async def test_a_score_outlives_a_restart_and_a_retry_that_opens_nothing(folder):
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        await aggregator.worker().commit(TASK, [answer(n) for n in range(4)])
        await aggregator.score(ScoreOutcome(scored=4, unscored=0, metrics=[METRIC]))
    async with served(folder) as aggregator:
        assert (await aggregator.task()).state is TaskState.COMPLETE
        await aggregator.run.retry()
        assert (await aggregator.task()).state is TaskState.COMPLETE


async def test_a_call_with_another_token_is_refused(folder):
    async with served(folder) as aggregator:
        address = aggregator.address
        async with open_channel(address, "another-token") as channel:
            with pytest.raises(UnauthenticatedError):
                await RunClient(channel, run_id=RUN).get()
