"""The services over a bucket, each a process of its own, leave what `assay run` leaves in a folder."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

import pytest

from assay.domain.report import RunState
from assay.domain.task import TaskState
from assay.store import keys
from assay.store.s3 import S3Store
from support.bucket_services import results, run_of, services
from support.local_runs import Desk

COUNT = 60


@pytest.fixture
def store(minio):
    return minio.config(bucket=f"b-{uuid.uuid4().hex[:12]}", create_bucket=True)


@pytest.fixture
def desk(tmp_path, stub):
    made = Desk.set_up(
        tmp_path / "desk", stub.url, count=COUNT, cache_dir=tmp_path / "cache"
    )
    yield made
    made.leave()


def local_results(desk):
    """What `assay run` of the same file leaves."""
    folder = desk.folder / "run"
    assert desk.run(folder).returncode == 0
    return results(
        {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and ".assay" not in path.parts
        }
    )


def stored_results(store, run_id):
    opened, prefix = S3Store(store), keys.result(run_id, "")
    names = [key.removeprefix(prefix) for key in opened.list(prefix)]
    return results({name: opened.get(prefix + name) for name in names})


async def state_is(client, wanted):
    """Returns when the run's only task is in that state."""
    async with asyncio.timeout(60):
        async for snapshot in client.watch(0.05):
            if snapshot.tasks[0].state is wanted:
                return snapshot.tasks[0]
    raise AssertionError(f"never {wanted}")


async def begin(made, client, run):
    await client.open(run)
    digest = await made.prepare(run)
    await client.attach_dataset(run.datasets[0].name, models=(), digest=digest)


async def finish(made, client, run_id):
    task = await state_is(client, TaskState.INFERRED)
    await made.score(task.id, run_id)
    await state_is(client, TaskState.COMPLETE)
    await client.finish()


async def test_a_run_over_a_bucket_leaves_the_bytes_of_a_local_one(
    desk, store, tmp_path
):
    expected = await asyncio.to_thread(local_results, desk)
    run = run_of(desk.file)
    async with services(tmp_path, store) as made, made.run("one") as client:
        await begin(made, client, run)
        await asyncio.gather(*(made.infer(run, "one") for _ in range(2)))
        await finish(made, client, "one")
    assert len(expected) == 2
    assert stored_results(store, "one") == expected


async def another_aggregator(made):
    """Kills the aggregator and starts its successor."""
    (aggregator,) = made.running("aggregator")
    aggregator.kill()
    await aggregator.wait()
    await made.start_aggregator()


async def test_a_killed_aggregator_comes_back_from_the_bucket_and_loses_nothing(
    desk, store, tmp_path
):
    expected = await asyncio.to_thread(local_results, desk)
    run = run_of(desk.file)
    async with services(tmp_path, store) as made:
        async with made.run("one") as client:
            await begin(made, client, run)
            worker = await made.infer(run, "one")
            await state_is(client, TaskState.INFERRED)
            worker.kill()
        await another_aggregator(made)
        async with made.run("one") as client:
            await finish(made, client, "one")
    assert stored_results(store, "one") == expected


async def drawn(store, run_id):
    """The run's page, once it is there."""
    opened, key = S3Store(store), keys.result(run_id, "report.html")
    async with asyncio.timeout(60):
        while await asyncio.to_thread(opened.size, key) is None:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.1)
    return await asyncio.to_thread(opened.get, key)


async def test_a_run_that_ended_has_a_page_with_its_pictures_in_the_bucket(
    desk, store, tmp_path
):
    run = run_of(desk.file)
    async with services(tmp_path, store) as made, made.run("one") as client:
        await begin(made, client, run)
        await made.infer(run, "one")
        await finish(made, client, "one")
        page = (await drawn(store, "one")).decode()
        S3Store(store).delete(keys.result("one", "report.html"))
        await another_aggregator(made)
        async with made.run("one") as client_again:
            assert (await client_again.get()).state is RunState.COMPLETE
        assert (await drawn(store, "one")).decode() == page
    prefix = keys.result("one", "report.pictures/")
    assert len(list(S3Store(store).list(prefix))) == COUNT
    assert "LittleDigits" in page


async def test_two_runs_of_one_dataset_prepare_it_once(desk, store, tmp_path):
    run = run_of(desk.file)
    async with services(tmp_path, store) as made:
        digests = await asyncio.gather(made.prepare(run), made.prepare(run))
        (dataset,) = made.running("dataset")
        dataset.kill()
        await dataset.wait()
        await made.start_dataset()
        assert {await made.prepare(run), *digests} == {digests[0]}
    manifests = [k for k in S3Store(store).list("datasets/") if "manifest" in k]
    assert len(manifests) == 1


async def test_an_execution_goes_on_from_a_closed_ones_answers_and_asks_none_again(
    desk, store, tmp_path, stub
):
    expected = await asyncio.to_thread(local_results, desk)
    stub.asked.clear()
    stub.delay = 0.1
    run = run_of(desk.file)
    async with services(tmp_path, store) as made:
        await leave_off(made, run)
        await another_aggregator(made)
        following = replace(run, coverage_threshold=0.5)
        async with made.run("two") as client:
            await client.open(following, adopts=["one"])
            await begin(made, client, following)
            await made.infer(following, "two")
            await finish(made, client, "two")
    assert stored_results(store, "two") == expected
    assert stub.asked == dict.fromkeys(range(COUNT), 1)


async def leave_off(made, run):
    """A run that is closed when a third of its samples has been answered."""
    async with made.run("one") as client:
        await begin(made, client, run)
        worker = await made.infer(run, "one")
        await answered(client, COUNT // 3)
        await client.close()
        assert await worker.wait() == 0


async def answered(client, count):
    """Returns when so many samples of the run's only task have been answered, and not all."""
    async with asyncio.timeout(60):
        async for snapshot in client.watch(0.01):
            (task,) = snapshot.tasks
            if task.counts.predicted >= count:
                assert task.counts.predicted < COUNT
                return
