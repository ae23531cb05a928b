"""A run is opened again in another mode: what it was accepted as changes, and what counts as its score."""

from dataclasses import replace

import pytest

from assay.domain.errors import LeaseLostError
from assay.domain.run import Mode
from assay.domain.task import TaskState
from assay.rpc.score_client import ScoreClient, ScoreOutcome
from assay.store import keys
from assay.store.spec import decode_pinned
from support.aggregator import DATASET, RUN, TASK, Folder, a_run, answer, served

INFER, ALL, EVAL = (a_run(mode=mode) for mode in (Mode.INFER, Mode.ALL, Mode.EVAL))
ANSWERS_ONLY = ScoreOutcome(scored=0, unscored=0)
SCORED = ScoreOutcome(scored=3, unscored=0)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path, 3)


async def _inferred(aggregator, folder):
    await aggregator.begin(folder, INFER)
    await aggregator.worker().commit(TASK, [answer(n) for n in range(3)])


def _pinned(folder):
    return decode_pinned(folder.store().get(keys.spec(RUN)), "spec.json")


@pytest.mark.parametrize("then", [ALL, EVAL])
async def test_a_run_that_inferred_is_to_be_scored_when_it_is_opened_for_that(
    folder, then
):
    async with served(folder) as aggregator:
        await _inferred(aggregator, folder)
        await aggregator.score(ANSWERS_ONLY)
        assert (await aggregator.task()).state is TaskState.COMPLETE
        await aggregator.run.open(then)
        assert (await aggregator.task()).state is TaskState.INFERRED
        assert not (await aggregator.head()).predictions_only
        await aggregator.score(SCORED)
        assert (await aggregator.task()).state is TaskState.COMPLETE


async def test_a_successor_knows_the_mode_and_what_counts_under_it(folder):
    async with served(folder) as aggregator:
        await _inferred(aggregator, folder)
        await aggregator.score(ANSWERS_ONLY)
        began = _pinned(folder)
        await aggregator.run.open(EVAL)
    assert _pinned(folder) == replace(began, run=EVAL)
    async with served(folder) as aggregator:
        assert (await aggregator.task()).state is TaskState.INFERRED


async def test_scored_answers_serve_who_wants_the_answers_alone(folder):
    async with served(folder) as aggregator:
        await _inferred(aggregator, folder)
        await aggregator.run.open(ALL)
        await aggregator.score(SCORED)
        await aggregator.run.open(INFER)
        assert (await aggregator.task()).counts.scored == 3
    async with served(folder) as aggregator:
        assert (await aggregator.task()).state is TaskState.COMPLETE


async def test_tables_of_a_scorer_that_began_before_the_change_are_not_taken_for_a_score(
    folder,
):
    async with served(folder) as aggregator:
        await _inferred(aggregator, folder)
        scorer = ScoreClient(aggregator._channel, run_id=RUN, task=TASK)
        async with scorer.claim(timeout=30) as session:
            await session.head()
            [item async for item in session.inputs()]
            await aggregator.run.open(EVAL)
            with pytest.raises(LeaseLostError):
                await session.finish(ANSWERS_ONLY)
        assert (await aggregator.task()).state is TaskState.INFERRED


async def test_a_dataset_that_is_gone_from_the_cache_is_waited_for(folder):
    async with served(folder) as aggregator:
        await _inferred(aggregator, folder)
    prepared = folder.cache / "datasets" / DATASET
    prepared.rename(folder.cache / "gone")
    async with served(folder) as aggregator:
        assert (await aggregator.task()).state is TaskState.WAITING
        (folder.cache / "gone").rename(prepared)
        await aggregator.begin(folder, EVAL)
        assert (await aggregator.task()).state is TaskState.INFERRED
