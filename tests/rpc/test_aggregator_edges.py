"""What comes late, what is too long for one message, and what no writer foresaw."""

import asyncio
from dataclasses import replace

from assay.domain.errors import UnavailableError
from assay.domain.lease import CommitOutcome
from assay.domain.report import RunState
from assay.domain.sample import UnscoredReason
from assay.domain.task import TaskState
from assay.rpc.score_client import ScoreOutcome
from support.aggregator import (
    TASK,
    FaultyStore,
    Folder,
    a_run,
    answer,
    failure,
    served,
)
from support.prepared import put_prepared

TIMED_OUT = {UnscoredReason.TIMEOUT: 1}


async def scored_without_sample_1(aggregator, folder):
    await aggregator.begin(folder, a_run(coverage_threshold=0.5))
    await aggregator.worker().commit(TASK, [answer(0), failure(1)])
    outcome = ScoreOutcome(scored=1, unscored=1, unscored_by_reason=TIMED_OUT)
    await aggregator.score(outcome)


async def test_an_answer_that_comes_after_the_score_is_scored_too(tmp_path):
    folder = Folder(tmp_path, count=2)
    async with served(folder) as aggregator:
        await scored_without_sample_1(aggregator, folder)
        assert (await aggregator.task()).state is TaskState.COMPLETE
        late = await aggregator.worker().commit(TASK, [answer(1, "late")])
        assert late == (CommitOutcome.WON,)
        assert (await aggregator.task()).state is TaskState.INFERRED
        told = await aggregator.score(ScoreOutcome(scored=2, unscored=0))
        assert told == {0: "A", 1: "late"}
        assert (await aggregator.task()).counts.scored == 2


async def test_an_answer_that_changes_nothing_leaves_the_score(tmp_path):
    folder = Folder(tmp_path, count=2)
    async with served(folder) as aggregator:
        await scored_without_sample_1(aggregator, folder)
        assert await aggregator.worker().commit(TASK, [answer(0, "B"), failure(1)]) == (
            CommitOutcome.LOST,
            CommitOutcome.LOST,
        )
        assert (await aggregator.task()).state is TaskState.COMPLETE


async def test_an_answer_after_the_end_is_kept_and_the_report_stands(tmp_path):
    folder = Folder(tmp_path, count=2)
    async with served(folder) as aggregator:
        await scored_without_sample_1(aggregator, folder)
        await aggregator.run.finish()
        await aggregator.worker().commit(TASK, [answer(1, "late")])
        assert (await aggregator.task()).counts.unscored == 1
    assert (1, "late") in folder.records()


async def test_prompts_longer_than_a_message_go_out_in_several(tmp_path):
    folder = Folder(tmp_path, count=1)
    questions = [f"{n}" + "x" * 1_000_000 for n in range(20)]
    folder.digest = put_prepared(folder.store(), tmp_path / "long", questions=questions)
    run = a_run()
    wide = replace(run, models=(replace(run.models[0], nproc=64),))
    seen = []
    async with served(folder) as aggregator:
        await aggregator.begin(folder, wide)
        while len(seen) < 20:
            grant = await aggregator.worker().lease(64, 0)
            assert grant.leases
            seen += [s.ordinal for lease in grant.leases for s in lease.samples]
        assert (await aggregator.task()).counts.leased == 20
    assert seen == list(range(20))


async def test_a_writer_that_fails_in_a_way_nobody_foresaw_ends_the_process(tmp_path):
    folder = Folder(tmp_path, count=2)
    bug = RuntimeError("nobody foresaw this")
    async with served(folder, wrap=lambda s: FaultyStore(s, [bug])) as aggregator:
        await aggregator.begin(folder)
        commit = asyncio.create_task(aggregator.worker().commit(TASK, [answer(0)]))
        async with asyncio.timeout(30):
            lost = await aggregator.book.lost
        assert isinstance(lost, UnavailableError)
        assert not commit.done()
        commit.cancel()


async def test_a_task_with_every_verdict_and_no_score_has_failed_with_the_reason(
    tmp_path,
):
    folder = Folder(tmp_path, count=2)
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        await aggregator.worker().commit(TASK, [answer(0), answer(1)])
        await aggregator.score(ScoreOutcome(scored=2, unscored=0, withheld="a reason"))
        task = await aggregator.task()
        assert (task.state, task.message) == (TaskState.FAILED, "a reason")
        assert (await aggregator.run.finish()).state is RunState.FAILED
