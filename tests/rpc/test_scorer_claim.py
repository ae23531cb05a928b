"""The scorer against a real server: what it hands in, and what it does when the other side is away."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys

import pyarrow.parquet as pq
import pytest

from assay.domain.completion import Completion, Failure
from assay.domain.errors import LeaseLostError, NotFoundError, UnavailableError
from assay.domain.sample import UnscoredReason
from assay.process.configs import ScorerConfig
from assay.process.contract import ExitCode
from assay.scorer.main import score
from assay.v1 import common_pb2, score_pb2
from support.score_service import TOKEN, ScoreStub, serve_stub
from support.scoring import multiple_choice, tsv

COUNT = 8


def failed(ordinal):
    failure = Failure(reason=UnscoredReason.TIMEOUT, message="no answer in 330 s")
    return Completion(ordinal=ordinal, failure=failure, attempts=6)


def answered(ordinal):
    text = f"Answer: {'ABCD'[ordinal % 4]}"
    return Completion(
        ordinal=ordinal, text=text, latency=0.25, prompt_tokens=9, completion_tokens=2
    )


@pytest.fixture
async def stub(tmp_path):
    columns = multiple_choice(COUNT)
    completions = [*(answered(i) for i in range(COUNT - 1)), failed(COUNT - 1)]
    answers = [(str(completion.ordinal), completion) for completion in completions]
    stub = ScoreStub(
        head=score_pb2.ScoreInputHead(
            dataset="Own",
            model="my_model",
            judge="exact_matching",
            total=COUNT,
            prepared_digest="p",
        ),
        table=tsv(tmp_path / "Own.tsv", columns).read_bytes(),
        answers=answers,
    )
    server = await serve_stub(stub)
    stub.address = server.address
    yield stub
    await server.stop(0)


COLUMNS = [
    *("sample_id", "state", "reason", "prediction", "target", "extracted", "score"),
    "category",
]


def config(stub, **changes):
    settings = {
        "token": TOKEN,
        "aggregator": stub.address,
        "run_id": "r1",
        "model": "my_model",
        "dataset": "Own",
        "time_limit_seconds": 60,
    }
    return ScorerConfig(**settings | changes)


async def test_a_scored_task_is_handed_in_whole(stub):
    assert await score(config(stub)) == ExitCode.OK
    handed = stub.handed[0]
    assert sorted(handed.files) == [
        "samples.parquet",
        "timing.parquet",
        "upstream/my_model_Own.xlsx",
        "upstream/my_model_Own_acc.csv",
        "upstream/my_model_Own_exact_matching_result.xlsx",
    ]
    assert handed.result.provenance["ms-vlmeval"] == "0.0.20"
    assert handed.result.provenance["seal"].startswith("landlock-")


async def test_a_result_counts_what_is_scored_and_what_is_not(stub):
    assert await score(config(stub)) == ExitCode.OK
    handed = stub.handed[0]
    assert (handed.result.scored_count, handed.result.unscored_count) == (7, 1)
    tally = handed.result.unscored_by_reason[0]
    assert tally.reason == common_pb2.UNSCORED_REASON_TIMEOUT
    assert {m.name: m.value for m in handed.result.metrics if m.split == "dev"} == {
        "Overall": 1.0,
        "kind 0": 1.0,
        "kind 1": 1.0,
        "kind 2": 1.0,
    }


async def test_the_sample_table_holds_every_sample_in_order(stub):
    await score(config(stub))
    table = pq.read_table(io.BytesIO(stub.handed[0].files["samples.parquet"]))
    rows = table.to_pylist()
    assert table.column_names == COLUMNS
    assert [row["sample_id"] for row in rows] == [str(i) for i in range(COUNT)]
    assert list(rows[2].values()) == [
        *("2", "SCORED", None, "Answer: C", "C", "C", 1.0, "kind 2"),
    ]
    assert list(rows[7].values()) == [
        *("7", "UNSCORED", "timeout", None, "D", None, None, "kind 1"),
    ]


async def test_the_timing_table_says_what_each_answer_took(stub):
    await score(config(stub))
    table = pq.read_table(io.BytesIO(stub.handed[0].files["timing.parquet"]))
    assert list(table.to_pylist()[0].values()) == ["0", 1, 0.25, 9, 2, "", "w1", None]
    last = table.to_pylist()[7]
    assert (last["attempts"], last["failure"]) == (6, "no answer in 330 s")


async def test_equal_input_gives_equal_bytes(stub):
    await score(config(stub))
    await score(config(stub))
    first, second = (handed.files for handed in stub.handed)
    for name in ("samples.parquet", "timing.parquet", "upstream/my_model_Own_acc.csv"):
        assert first[name] == second[name]
    assert list(stub.handed[0].result.metrics) == list(stub.handed[1].result.metrics)


async def test_an_aggregator_that_is_away_is_asked_again(stub):
    stub.trouble = [UnavailableError("restarting"), UnavailableError("restarting")]
    assert await score(config(stub)) == ExitCode.OK
    assert [claim.task.dataset for claim in stub.claims] == ["Own"] * 3


async def test_an_aggregator_that_stays_away_ends_the_scorer_with_retry(stub):
    stub.trouble = [UnavailableError("gone")] * 100
    assert await score(config(stub, aggregator_patience=0.5)) == ExitCode.RETRY


async def test_a_task_that_another_scorer_has_is_left_to_it(stub):
    stub.trouble = [LeaseLostError("another scorer claimed my_model/Own")]
    assert await score(config(stub)) == ExitCode.OK
    assert stub.handed == []


async def test_a_task_that_does_not_exist_is_a_failure(stub):
    stub.trouble = [NotFoundError("no run r1")]
    assert await score(config(stub)) == ExitCode.FAILED


async def test_a_wrong_token_is_a_failure_and_not_waited_out(stub):
    assert await score(config(stub, token="wrong")) == ExitCode.FAILED


async def test_upstreams_failure_is_reported_with_its_own_words(stub):
    # Every option empty, and a table without answers: evaluate() cannot begin.
    stub.table = stub.table.replace(b"\tanswer\t", b"\tanswered\t")
    assert await score(config(stub)) == ExitCode.OK
    failure = stub.handed[0].failure
    assert failure.reason == "SCORER"
    assert "evaluate() of Own failed: KeyError: 'answer'" in failure.message


async def test_predictions_that_do_not_fit_the_table_are_refused(stub):
    stub.answers = [(f"x{sample_id}", c) for sample_id, c in stub.answers]
    await score(config(stub))
    assert "in another order" in stub.handed[0].failure.message


async def test_a_missing_prediction_is_refused(stub):
    del stub.answers[3]
    await score(config(stub))
    assert "8 samples and 7 predictions" in stub.handed[0].failure.message


async def test_a_child_over_its_time_is_reported(stub):
    await score(config(stub, time_limit_seconds=0.2))
    assert stub.handed[0].failure.reason == "SEAL"


async def test_the_report_says_when_upstreams_code_ran_unsealed(stub):
    await score(config(stub, unsealed=True))
    assert stub.handed[0].result.provenance["seal"] == "none (asked for)"


async def run_process(stub, tmp_path):
    document = {
        **json.loads(config(stub).model_dump_json()),
        "token": TOKEN,
        "log_file": str(tmp_path / "log"),
    }
    reading, writing = os.pipe()
    os.write(writing, json.dumps(document).encode())
    os.close(writing)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "assay.scorer.main",
        "--config-fd",
        str(reading),
        pass_fds=(reading,),
    )
    os.close(reading)
    return process


async def test_the_scorer_is_a_process_that_exits_when_all_is_stored(stub, tmp_path):
    process = await run_process(stub, tmp_path)
    assert await process.wait() == ExitCode.OK
    assert stub.handed[0].result.scored_count == 7
    assert TOKEN not in (tmp_path / "log").read_text()


async def test_sigterm_gives_the_task_back(stub, tmp_path):
    stub.trouble = [UnavailableError("restarting")] * 1000
    process = await run_process(stub, tmp_path)
    while not stub.claims:  # noqa: ASYNC110 - the claim comes from another process
        await asyncio.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == ExitCode.RETRY
    assert stub.handed == []
