"""Runs are closed, cancelled, finished and retried, and stand so for whoever asks, after a restart too."""

import asyncio

import pytest

from assay.domain.errors import LeaseLostError, PermanentError
from assay.domain.lease import CommitOutcome, HeldLease, QueueState
from assay.domain.report import RunState
from assay.domain.run import Mode
from assay.domain.task import TaskState
from assay.rpc.score_client import ScoreClient
from support.aggregator import DATASET, TASK, Folder, a_run, answer, failure
from support.many_runs import METRIC, ScoreOutcome, fleet

CLOSED, OPEN = QueueState.CLOSED, QueueState.OPEN
DROPPED = {"close": RunState.SUPERSEDED, "cancel": RunState.CANCELLED}
dropped = pytest.mark.parametrize("how", DROPPED)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path, count=4)


async def drop(runs, how, run_id="one"):
    return await getattr(runs.client(run_id), how)()


async def state_after_restart(folder, run_id="one"):
    async with fleet(folder) as runs:
        return (await runs.client(run_id).get()).state


async def finish(runs, *, failed=0):
    """Answers, scores and finishes the run, with so many samples unanswered."""
    said = [failure(n) if n < failed else answer(n) for n in range(4)]
    await runs.answer("one", *said)
    outcome = ScoreOutcome(scored=4 - failed, unscored=failed, metrics=[METRIC])
    await runs.score("one", outcome)
    return await runs.client("one").finish()


@dropped
async def test_a_run_that_is_dropped_hands_nothing_out_and_stays_so(folder, how):
    async with fleet(folder) as runs:
        await runs.start(folder, "one")
        waiting = asyncio.create_task(runs.worker("late", run_id="one").lease(0, 20))
        views = [await drop(runs, how), await drop(runs, how)]
        assert {view.state for view in views} == {DROPPED[how]}
        assert (await waiting).state is CLOSED
        grant = await runs.worker(run_id="one").lease(4, 0)
        assert (grant.state, grant.leases) == (CLOSED, ())
    assert await state_after_restart(folder) is DROPPED[how]


@dropped
async def test_what_was_asked_of_a_dropped_run_is_kept_and_the_rest_is_let_go(
    folder, how
):
    async with fleet(folder) as runs:
        await runs.start(folder, "one")
        worker = runs.worker(run_id="one")
        (lease,) = (await worker.lease(4, 0)).leases
        await drop(runs, how)
        held = HeldLease(lease_id=lease.lease_id, task=TASK, open_ordinals=(0, 1))
        extension = await worker.extend([held], None)
        assert (extension.state, extension.leases[0].held) == (CLOSED, True)
        assert await worker.commit(TASK, [answer(2)]) == (CommitOutcome.WON,)
    async with fleet(folder) as runs:
        assert (await runs.task_of("one")).counts.predicted == 1


@dropped
async def test_a_scorer_of_a_dropped_run_is_told_to_go_while_it_computes(folder, how):
    async with fleet(folder) as runs:
        await runs.start(folder, "one")
        await runs.answer("one", *map(answer, range(4)))
        scorer = ScoreClient(runs.channel, run_id="one", task=TASK)
        async with scorer.claim(timeout=30) as session:
            await session.head()
            _ = [item async for item in session.inputs()]
            await drop(runs, how)
            with pytest.raises(LeaseLostError):
                await anext(session.inputs())
        with pytest.raises(PermanentError, match="the run is"):
            await runs.score("one")


async def test_a_closed_run_goes_on_when_it_is_opened_again(folder):
    async with fleet(folder) as runs:
        await runs.start(folder, "one")
        await runs.answer("one", answer(1))
        await runs.client("one").close()
        view = await runs.start(folder, "one", keep_ended=True)
        assert (view.state, view.finished) == (RunState.RUNNING, "")
        assert await runs.leased("one") == [0, 2, 3]
    assert await state_after_restart(folder) is RunState.RUNNING


async def test_a_cancelled_run_stays_cancelled_whatever_is_asked_of_it(folder):
    async with fleet(folder) as runs:
        await runs.start(folder, "one")
        await runs.client("one").close()
        assert (await runs.client("one").cancel()).state is RunState.CANCELLED
        assert (await runs.start(folder, "one")).state is RunState.CANCELLED
        assert (await runs.client("one").close()).state is RunState.CANCELLED
        assert (await runs.client("one").finish()).state is RunState.CANCELLED
        with pytest.raises(PermanentError, match=r"cancelled \(.*fresh"):
            await runs.client("one").retry()
        assert await runs.leased("one") == []


async def test_a_superseded_run_is_not_retried(folder):
    async with fleet(folder) as runs:
        await runs.start(folder, "one")
        await runs.client("one").close()
        with pytest.raises(PermanentError, match="another execution"):
            await runs.client("one").retry()


@dropped
async def test_a_run_that_has_ended_stays_as_it_ended(folder, how):
    async with fleet(folder) as runs:
        await runs.start(folder, "one")
        await finish(runs)
        assert (await drop(runs, how)).state is RunState.COMPLETE


async def test_a_finished_run_says_since_when_after_a_restart_and_is_left_alone(folder):
    async with fleet(folder) as runs:
        await runs.start(folder, "one")
        ended = await finish(runs)
        report = await runs.file("one", "report.json")
    async with fleet(folder) as runs:
        view = await runs.client("one").open(a_run(), keep_ended=True)
        assert (view.state, view.finished) == (RunState.COMPLETE, ended.finished)
        assert view.tasks[0].state is TaskState.COMPLETE
        assert await runs.file("one", "report.json") == report


async def test_a_finished_run_of_which_something_else_is_asked_goes_on(folder):
    async with fleet(folder) as runs:
        await runs.start(folder, "one", a_run(endpoint_patience=1.0))
        await runs.client("one").finish("the endpoint is dead")
        same = await runs.client("one").open(
            a_run(endpoint_patience=1.0), keep_ended=True
        )
        more = await runs.client("one").open(
            a_run(endpoint_patience=9.0), keep_ended=True
        )
    assert (same.state, more.state) == (RunState.FAILED, RunState.RUNNING)


async def test_a_run_that_ended_is_finished_once(folder):
    async with fleet(folder) as runs:
        await runs.start(folder, "one")
        await finish(runs)
        report = await runs.file("one", "report.json")
        writes = runs.store.of("one").path("runs/one/state.json").stat().st_mtime_ns
        await runs.client("one").finish()
        assert await runs.file("one", "report.json") == report
        again = runs.store.of("one").path("runs/one/state.json").stat().st_mtime_ns
    assert again == writes


async def test_what_was_only_inferred_is_scored_when_that_is_asked(folder):
    async with fleet(folder) as runs:
        await runs.start(folder, "one", a_run(mode=Mode.INFER))
        await runs.answer("one", *map(answer, range(4)))
        kept = ScoreOutcome(scored=0, unscored=0)
        await runs.score("one", kept)
        assert (await runs.client("one").finish()).state is RunState.COMPLETE
        view = await runs.client("one").open(a_run(name="x"), keep_ended=True)
        assert (view.state, view.tasks[0].state) == (
            RunState.RUNNING,
            TaskState.INFERRED,
        )


async def test_a_complete_run_is_left_alone_whatever_else_its_spec_says(folder):
    async with fleet(folder) as runs:
        await runs.start(folder, "one")
        await finish(runs)
        more = a_run(endpoint_patience=9.0, notes=("said",))
        view = await runs.client("one").open(more, keep_ended=True)
        assert view.state is RunState.COMPLETE


async def test_why_a_task_failed_is_known_after_a_restart(folder):
    async with fleet(folder) as runs:
        client = runs.client("one")
        await client.open(a_run())
        why = {"reason": "DATASET_UNUSABLE", "message": "no such file"}
        await client.fail_dataset(DATASET, models=(), **why)
        assert (await client.finish()).state is RunState.FAILED
    async with fleet(folder) as runs:
        task = await runs.task_of("one")
    assert (task.state, task.message) == (TaskState.FAILED, "no such file")


async def test_a_retry_reopens_a_finished_run_for_good(folder):
    async with fleet(folder) as runs:
        await runs.start(folder, "one")
        assert (await finish(runs, failed=1)).state is RunState.BELOW_COVERAGE
        view = await runs.client("one").retry()
        assert (view.state, view.finished) == (RunState.RUNNING, "")
    async with fleet(folder) as runs:
        assert (await runs.client("one").get()).state is RunState.RUNNING
        assert await runs.leased("one") == [0]


async def test_a_late_answer_changes_nothing_of_a_run_that_has_ended(folder):
    async with fleet(folder) as runs:
        await runs.start(folder, "one")
        await finish(runs, failed=1)
        await runs.answer("one", answer(0))
    async with fleet(folder) as runs:
        view = await runs.client("one").get()
        assert view.state is RunState.BELOW_COVERAGE
        assert view.tasks[0].state is TaskState.BELOW_COVERAGE


async def test_a_tasks_score_stands_in_the_view_unless_it_is_withheld(folder):
    async with fleet(folder) as runs:
        await runs.start(folder, "one")
        await finish(runs, failed=1)
        assert (await runs.task_of("one")).score is None
        await runs.client("one").open(a_run())
        await runs.client("one").retry()
        await finish(runs)
        score = (await runs.task_of("one")).score
    assert (score.name, score.split, score.text) == ("Overall", "", "75.00 of 100")
    assert (score.value, score.lowest, score.highest) == (75.0, 0.0, 100.0)
