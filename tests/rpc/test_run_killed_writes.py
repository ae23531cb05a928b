"""An aggregator killed at any of its writes, through close, adoption, retry and finish: same bytes."""

import uuid

import pytest

from assay.domain.report import RunState
from assay.store.s3 import S3Store
from support.aggregator import Folder, answer
from support.killed_runs import COUNT, SECOND, left, lived, score
from support.many_runs import Shelf, fleet
from support.prepared import put_prepared

KILLS = range(31)
"""The process dies right after so many writes, before anybody hears of the last one."""


@pytest.fixture
async def undisturbed(tmp_path_factory):
    """What a life without a kill leaves, and how many writes it takes."""
    folder = Folder(tmp_path_factory.mktemp("undisturbed"), COUNT)
    store = Shelf(folder)
    _, writes = await lived(folder, store)
    return left(store, "two"), writes


async def test_every_write_is_one_of_those_that_are_killed(undisturbed):
    assert 20 < undisturbed[1] == max(KILLS)


@pytest.mark.parametrize("at", KILLS)
async def test_a_kill_at_any_write_changes_no_byte_and_costs_at_most_one_question(
    tmp_path, undisturbed, at
):
    folder = Folder(tmp_path, COUNT)
    store = Shelf(folder)
    life, _ = await lived(folder, store, at, after=at > 0)
    assert left(store, "two") == undisturbed[0]
    assert len(life.asked) <= COUNT + 2
    async with fleet(folder, store) as runs:
        states = [(await runs.client(r).get()).state for r in ("one", "two")]
    assert states == [RunState.SUPERSEDED, RunState.COMPLETE]


async def test_an_execution_that_adopted_leaves_the_bytes_of_one_that_asked_it_all(
    tmp_path, undisturbed
):
    folder = Folder(tmp_path, COUNT)
    async with fleet(folder) as runs:
        await runs.start(folder, "alone", SECOND)
        said = [answer(n, f"A{n}") for n in range(COUNT)]
        await runs.answer("alone", *said)
        await score(runs, "alone")
        await runs.client("alone").finish()
        assert left(runs.store, "alone") == undisturbed[0]


@pytest.fixture
def bucket(minio):
    name = f"b-{uuid.uuid4().hex[:12]}"
    return S3Store(minio.config(bucket=name, create_bucket=True))


@pytest.mark.parametrize("at", [None, 5, 12, 20])
async def test_over_a_bucket_it_leaves_the_same_bytes(
    tmp_path, undisturbed, bucket, at
):
    folder = Folder(tmp_path, COUNT)
    bucket.claim()
    questions = [f"What is number {n}?" for n in range(COUNT)]
    put_prepared(bucket, tmp_path / "again", questions=questions)
    await lived(folder, bucket, at)
    assert left(bucket, "two") == undisturbed[0]
    async with fleet(folder, bucket) as runs:
        stand = {each.run_id: each.state async for each in runs.results.runs()}
        fetched = {name: await runs.file("two", name) for name in undisturbed[0]}
    assert stand == {"one": RunState.SUPERSEDED, "two": RunState.COMPLETE}
    assert fetched == undisturbed[0]
