"""A judged task over a real stream: requests up, answers down, and nothing asked twice after a kill."""

from __future__ import annotations

import asyncio
import io
import json

import pyarrow.parquet as pq
import pytest

from assay.domain.completion import Completion, Failure
from assay.domain.judge import JudgeAnswer
from assay.domain.sample import UnscoredReason
from assay.process.configs import ScorerConfig
from assay.process.contract import ExitCode
from assay.scorer.main import score
from assay.v1 import score_pb2
from support.score_service import TOKEN, ScoreStub, serve_stub
from support.scorer_process import start_scorer
from support.scoring import multiple_choice, tsv

COUNT = 12


def right(request):
    """What a judge says that agrees with the table: sample n's answer is the n-th letter."""
    return JudgeAnswer(key=request.key, text="ABCD"[int(request.sample_id) % 4])


@pytest.fixture
async def stub(tmp_path):
    columns = multiple_choice(COUNT)
    told = [(str(i), Completion(ordinal=i, text=f"thing {i}")) for i in range(COUNT)]
    stub = ScoreStub(
        head=score_pb2.ScoreInputHead(
            dataset="Own",
            model="my_model",
            judge="gpt-4o-mini",
            total=COUNT,
            prepared_digest="p",
            judging=score_pb2.Judging(model="judge-1", slots=4),
        ),
        table=tsv(tmp_path / "Own.tsv", columns).read_bytes(),
        answers=told,
        judge=right,
    )
    server = await serve_stub(stub)
    stub.address = server.address
    yield stub
    await server.stop(0)


def config(stub):
    return ScorerConfig(
        token=TOKEN,
        aggregator=stub.address,
        run_id="r1",
        model="my_model",
        dataset="Own",
        time_limit_seconds=60,
    )


async def test_every_row_that_rules_cannot_read_is_judged_over_the_stream(stub):
    assert await score(config(stub)) == ExitCode.OK
    assert stub.handed[0].result.scored_count == COUNT
    assert {m.value for m in stub.handed[0].result.metrics} == {1.0}
    assert sorted(int(request.sample_id) for request in stub.asked) == list(
        range(COUNT)
    )
    assert {json.loads(r.body)["model"] for r in stub.asked} == {"judge-1"}


async def test_what_was_asked_and_replied_is_handed_in_beside_the_verdicts(stub):
    await score(config(stub))
    table = pq.read_table(io.BytesIO(stub.handed[0].files["judge.parquet"])).to_pylist()
    assert [row["sample_id"] for row in table] == [str(i) for i in range(COUNT)]
    assert [row["reply"] for row in table[:4]] == ["A", "B", "C", "D"]
    assert "thing 3" in table[3]["request"]


async def test_an_answer_that_is_known_is_not_asked_for(stub):
    await score(config(stub))
    stub.asked.clear()
    await score(config(stub))
    assert stub.asked == []
    first, second = (handed.files for handed in stub.handed)
    assert first == second | {n: first[n] for n in first if n.endswith("xlsx")}


async def test_a_request_that_failed_for_good_leaves_its_row_unscored(stub):
    def judge(request):
        failure = Failure(reason=UnscoredReason.TIMEOUT, message="no answer")
        dead = request.sample_id == "3"
        return JudgeAnswer(key=request.key, failure=failure) if dead else right(request)

    stub.judge = judge
    await score(config(stub))
    rows = pq.read_table(
        io.BytesIO(stub.handed[0].files["samples.parquet"])
    ).to_pylist()
    assert [r["reason"] for r in rows] == [None] * 3 + ["judge_failed"] + [None] * 8


def half_of(answered: set[str]):
    """Answers the first half of the requests, and no more."""

    def judge(request):
        if len(answered) >= COUNT // 2:
            return None
        answered.add(request.key)
        return right(request)

    return judge


async def test_a_killed_scorer_asks_for_nothing_that_was_answered(stub, tmp_path):
    answered: set[str] = set()
    stub.judge = half_of(answered)
    process = await start_scorer(config(stub), tmp_path)
    while len(stub.asked) < COUNT // 2 + 4:  # noqa: ASYNC110 - another process asks
        await asyncio.sleep(0.02)
    process.kill()
    await process.wait()
    stub.asked.clear()
    stub.judge = right
    assert await score(config(stub)) == ExitCode.OK
    assert answered.isdisjoint(request.key for request in stub.asked)
    assert len(answered) + len(stub.asked) == COUNT
