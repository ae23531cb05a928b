"""Judging ahead of scoring: rows are judged as their answers land, and the result is the same."""

from __future__ import annotations

import asyncio
import json

import pytest

from assay.domain.completion import Completion
from assay.domain.judge import JudgeAnswer
from assay.process.configs import ScorerConfig
from assay.process.contract import ExitCode
from assay.scorer.main import score
from assay.v1 import score_pb2
from support.judge_endpoint import sensible
from support.judged_tables import JUDGED
from support.score_service import TOKEN, EarlyStub, serve_stub
from support.scoring import tsv

FAMILIES = ("MMStar", "MMBench_DEV_EN", "POPE", "MMVet", "MathVista_MINI", "MMDU")


def judge(request):
    return JudgeAnswer(key=request.key, text=sensible(json.loads(request.body)))


def stub_of(folder, name, *, early):
    table = JUDGED[name]
    path = tsv(folder / f"{name}.tsv", table.columns)
    ids = map(str, table.columns["index"])
    told = [Completion(ordinal=i, text=text) for i, text in enumerate(table.answers)]
    head = score_pb2.ScoreInputHead(
        dataset=name,
        model="m",
        judge="gpt-4o-mini",
        total=len(told),
        prepared_digest="p",
        judging=score_pb2.Judging(model="judge-1", slots=4, early=early),
    )
    answers = list(zip(ids, told, strict=True))
    return EarlyStub(head=head, table=path.read_bytes(), answers=answers, judge=judge)


async def scored(stub, landing):
    stub.landing = landing
    server = await serve_stub(stub)
    config = ScorerConfig(
        token=TOKEN,
        aggregator=server.address,
        run_id="r1",
        model="m",
        dataset=stub.head.dataset,
        time_limit_seconds=60,
    )
    try:
        assert await score(config) == ExitCode.OK
    finally:
        await server.stop(0)
    return stub.handed[0]


async def at_once(_ordinal):
    """Everything has landed."""


@pytest.mark.parametrize("name", FAMILIES)
async def test_what_is_asked_early_is_what_scoring_needs(tmp_path, name):
    late = stub_of(tmp_path / "late", name, early=False)
    expected = await scored(late, at_once)
    early = stub_of(tmp_path / "early", name, early=True)
    last = len(early.answers) - 1

    async def landing(ordinal):
        # Only the last answer waits, until the judge has been asked about what is there.
        while ordinal == last and not early.asked:  # noqa: ASYNC110 - another process asks
            await asyncio.sleep(0.02)

    found = await scored(early, landing)
    assert found.files["samples.parquet"] == expected.files["samples.parquet"]
    assert found.files["judge.parquet"] == expected.files["judge.parquet"]
    keys = [request.key for request in early.asked]
    assert sorted(keys) == sorted(request.key for request in late.asked)
