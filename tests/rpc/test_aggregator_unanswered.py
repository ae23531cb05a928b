"""Datasets without answers end with their predictions; a limit that cannot be scored ends at once."""

import json

import pytest

from assay.domain.errors import PermanentError
from assay.domain.lease import QueueState
from assay.domain.report import RunState
from assay.domain.run import Mode
from assay.domain.task import TaskState
from assay.rpc.score_client import ScoreOutcome
from support.aggregator import TASK, Folder, a_run, answer, failure, served

WHY = "no score: the file of Tiny holds no answers; predictions were made"


def _report(folder):
    return json.loads((folder.run_dir / "report.json").read_bytes())["tasks"][0]


async def test_a_task_without_answers_is_complete_with_its_predictions_and_says_why(
    tmp_path,
):
    folder = Folder(tmp_path, count=2, answers=False)
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        await aggregator.worker().commit(TASK, [answer(0), answer(1)])
        await aggregator.score(ScoreOutcome(scored=0, unscored=0, withheld=WHY))
        assert (await aggregator.task()).state is TaskState.COMPLETE
        assert (await aggregator.run.finish()).state is RunState.COMPLETE
    task = _report(folder)
    assert (task["state"], task["withheld"], task["metrics"]) == ("COMPLETE", WHY, [])
    assert task["counts"]["predicted"] == 2


async def test_a_scorer_is_told_that_only_predictions_are_wanted(tmp_path):
    folder = Folder(tmp_path, count=1, answers=False)
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        await aggregator.worker().commit(TASK, [answer(0)])
        assert (await aggregator.head()).predictions_only


async def test_a_task_without_answers_lacks_coverage_only_where_predictions_failed(
    tmp_path,
):
    folder = Folder(tmp_path, count=2, answers=False)
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        await aggregator.worker().commit(TASK, [answer(0), failure(1)])
        await aggregator.score(ScoreOutcome(scored=0, unscored=1, withheld=WHY))
        assert (await aggregator.task()).state is TaskState.BELOW_COVERAGE
        await aggregator.run.finish()
    assert _report(folder)["counts"]["unscored"] == 1


async def test_nobody_can_hand_in_verdicts_for_a_task_without_answers(tmp_path):
    folder = Folder(tmp_path, count=1, answers=False)
    async with served(folder) as aggregator:
        await aggregator.begin(folder)
        await aggregator.worker().commit(TASK, [answer(0)])
        with pytest.raises(PermanentError, match="1 scored and 0 unscored of 1"):
            await aggregator.score(ScoreOutcome(scored=1, unscored=0))


async def test_a_limit_that_cannot_be_scored_fails_the_task_before_anything_is_asked(
    tmp_path,
):
    folder = Folder(tmp_path, count=4, least_limit=3)
    async with served(folder) as aggregator:
        await aggregator.begin(folder, a_run(limit=2))
        task = await aggregator.task()
        assert task.state is TaskState.FAILED
        assert "write limit: 3 or more" in task.message
        assert (await aggregator.worker().lease(4, 0)).state is QueueState.CLOSED
        assert (await aggregator.run.finish()).state is RunState.FAILED
    assert folder.records() == []


@pytest.mark.parametrize("changes", [{"limit": 3}, {"limit": 2, "mode": Mode.INFER}])
async def test_a_limit_is_free_where_enough_rows_are_left_or_nothing_is_scored(
    tmp_path, changes
):
    folder = Folder(tmp_path, count=4, least_limit=3)
    async with served(folder) as aggregator:
        await aggregator.begin(folder, a_run(**changes))
        grant = await aggregator.worker().lease(4, 0)
        asked = [s.ordinal for lease in grant.leases for s in lease.samples]
        assert asked == list(range(changes["limit"]))
