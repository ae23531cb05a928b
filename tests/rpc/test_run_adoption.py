"""An execution goes on from what former ones answered: by reference, once, and only where that is sound."""

import asyncio
import json
from dataclasses import replace

import pytest

from assay.domain.errors import CorruptError, EndpointChangedError, NotFoundError
from assay.domain.lease import HeldLease
from assay.domain.run import Judge, Launched
from assay.domain.task import TaskState
from support.aggregator import TASK, Folder, a_run, answer, failure
from support.many_runs import SCORED, asked_at, fleet

ELSEWHERE = "http://127.0.0.1:8/v1/chat/completions"
MORE = a_run(coverage_threshold=0.5)
"""Another execution, whose only task is the same one."""

A_JUDGE = Judge(
    label="a-judge", served_name="a-judge", api_base="http://127.0.0.1:9/v1"
)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path, count=4)


def segments(folder, run_id):
    return sorted((folder.path / f"run-of-{run_id}").rglob("*.seg"))


async def finish_first(runs, folder, run=None):
    """A run that answered and scored everything, and was closed."""
    await runs.start(folder, "one", run or a_run())
    await runs.answer("one", *(answer(n, f"A{n}") for n in range(4)))
    await runs.score("one")
    await runs.client("one").finish()


async def test_a_finished_task_is_adopted_with_its_score_and_nothing_is_copied(folder):
    async with fleet(folder) as runs:
        await finish_first(runs, folder)
        view = await runs.start(folder, "two", MORE, adopts=["one"])
        (task,) = view.tasks
        assert (task.state, task.adopted) == (TaskState.COMPLETE, 4)
        await runs.client("two").finish()
        assert await runs.file("two", f"samples/{TASK}.parquet") == b"rows"
        assert await runs.file("two", "m/m_Tiny_acc.csv") == b"acc\n75\n"
    assert segments(folder, "one")
    assert not segments(folder, "two")


async def test_an_unfinished_task_goes_on_from_what_it_has(folder):
    async with fleet(folder) as runs:
        await runs.start(folder, "one")
        await runs.answer("one", answer(1, "A1"), answer(2, "A2"))
        await runs.client("one").close()
        await runs.start(folder, "two", MORE, adopts=["one"])
        assert await runs.leased("two") == [0, 3]
        await runs.answer("two", answer(0, "B0"), answer(3, "B3"))
        told = await runs.score("two")
        assert told == {0: "B0", 1: "A1", 2: "A2", 3: "B3"}
        report = await finished_report(runs, "two")
    assert report["tasks"][0]["adopted"] == {"one": 2}


async def finished_report(runs, run_id):
    await runs.client(run_id).finish()
    return json.loads(await runs.file(run_id, "report.json"))


async def test_what_was_adopted_is_there_after_a_restart_and_so_is_its_score(folder):
    async with fleet(folder) as runs:
        await finish_first(runs, folder)
        await runs.start(folder, "two", MORE, adopts=["one"])
    async with fleet(folder) as runs:
        task = await runs.task_of("two")
        assert (task.state, task.adopted) == (TaskState.COMPLETE, 4)


async def test_an_answer_that_a_closed_run_was_asking_counts_in_its_successor(folder):
    async with fleet(folder) as runs:
        await runs.start(folder, "one")
        assert await runs.leased("one") == [0, 1, 2, 3]
        await runs.client("one").close()
        await runs.start(folder, "two", MORE, adopts=["one"])
        assert await runs.leased("two") == []
        await runs.answer("one", *(answer(n, f"A{n}") for n in range(4)))
        assert (await runs.task_of("two")).counts.predicted == 4
    async with fleet(folder) as runs:
        assert (await runs.task_of("two")).adopted == 4


async def test_what_a_closed_runs_worker_lets_go_is_its_successors_at_once(folder):
    async with fleet(folder) as runs:
        await runs.start(folder, "one")
        former = runs.worker("former", run_id="one")
        (lease,) = (await former.lease(4, 0)).leases
        await runs.client("one").close()
        await runs.start(folder, "two", MORE, adopts=["one"])
        waiting = asyncio.create_task(runs.worker(run_id="two").lease(4, 20))
        asking = HeldLease(lease_id=lease.lease_id, task=TASK, open_ordinals=(0, 1))
        await former.extend([asking], None)
        (granted,) = (await waiting).leases
        assert [s.ordinal for s in granted.samples] == [2, 3]


async def test_only_the_scoring_is_redone_where_somebody_else_judges(folder):
    async with fleet(folder) as runs:
        await finish_first(runs, folder)
        judged = a_run(judge="a-judge", judge_model=A_JUDGE)
        await runs.start(folder, "two", judged, adopts=["one"])
        task = await runs.task_of("two")
        assert (task.state, task.counts.predicted) == (TaskState.INFERRED, 4)
        assert (await runs.score("two", SCORED))[3] == "A3"


@pytest.mark.parametrize("change", [{"limit": 3}, {"fresh": "again"}])
async def test_a_task_that_differs_adopts_nothing(folder, change):
    async with fleet(folder) as runs:
        await finish_first(runs, folder)
        await runs.start(folder, "two", a_run(**change), adopts=["one"])
        assert (await runs.task_of("two")).adopted == 0


async def test_a_chain_of_executions_reaches_back_to_the_first(folder):
    async with fleet(folder) as runs:
        await runs.start(folder, "one")
        await runs.answer("one", answer(0, "A0"))
        await runs.start(folder, "two", MORE, adopts=["one"])
        await runs.answer("two", answer(1, "B1"))
        third = a_run(coverage_threshold=0.25)
        await runs.start(folder, "three", third, adopts=["two"])
    async with fleet(folder) as runs:
        assert await runs.leased("three") == [2, 3]


async def test_a_run_that_comes_back_sees_its_own_answers_and_its_successors(folder):
    async with fleet(folder) as runs:
        await runs.start(folder, "one")
        await runs.answer("one", answer(0, "A0"))
        await runs.client("one").close()
        await runs.start(folder, "two", MORE, adopts=["one"])
        await runs.answer("two", answer(1, "B1"))
        await runs.client("two").close()
        await runs.start(folder, "one", adopts=["two"])
        assert await runs.leased("one") == [2, 3]
    async with fleet(folder) as runs:
        task = await runs.task_of("one")
        assert (task.counts.predicted, task.adopted) == (2, 1)


async def test_failures_that_were_adopted_are_asked_again_by_a_retry(folder):
    async with fleet(folder) as runs:
        await runs.start(folder, "one")
        await runs.answer("one", answer(0), failure(1), answer(2), answer(3))
        await runs.start(folder, "two", MORE, adopts=["one"])
        assert (await runs.task_of("two")).counts.unscored == 1
        await runs.client("two").retry()
        assert await runs.leased("two") == [1]


async def test_a_run_to_adopt_from_that_is_not_there_is_named(folder):
    async with fleet(folder) as runs:
        with pytest.raises(NotFoundError, match="run nobody"):
            await runs.start(folder, "two", adopts=["nobody"])


async def test_a_run_whose_answers_are_gone_names_the_one_that_held_them(folder):
    async with fleet(folder) as runs:
        await finish_first(runs, folder)
        await runs.start(folder, "two", MORE, adopts=["one"])
    (folder.path / "run-of-one/.assay/spec.json").unlink()
    async with fleet(folder) as runs:
        with pytest.raises(CorruptError, match=r"stand in run one, which is gone"):
            await runs.client("two").get()


async def test_a_model_that_is_asked_elsewhere_now_adopts_nothing_unless_it_is_the_same(
    folder,
):
    moved = asked_at(MORE, ELSEWHERE)
    async with fleet(folder) as runs:
        await finish_first(runs, folder)
        with pytest.raises(EndpointChangedError, match="endpoint_moved: true"):
            await runs.start(folder, "two", moved, adopts=["one"])
        with pytest.raises(NotFoundError):
            await runs.client("two").get()
        same = a_run(coverage_threshold=0.5, endpoint_moved=True)
        await runs.start(folder, "two", asked_at(same, ELSEWHERE), adopts=["one"])
        assert (await runs.task_of("two")).adopted == 4


async def test_an_engine_beside_its_workers_may_listen_on_another_port(folder) -> None:
    def served(run):
        (model,) = run.models
        return replace(run, models=(replace(model, launched=Launched(image="e:1")),))

    before, after = served(a_run()), asked_at(served(MORE), ELSEWHERE)
    async with fleet(folder) as runs:
        await finish_first(runs, folder, before)
        await runs.start(folder, "two", after, adopts=["one"])
        assert (await runs.task_of("two")).adopted == 4
