"""Datasets without public answers: predictions, the file to submit as upstream writes it, and the reason."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from support import scoring
from support.scoring_runs import FAILED, circular, mmmu


async def collected(tmp_path, name, columns, answers):
    """Rows, the reason, and the folder of files."""
    folder = tmp_path / "a"
    rows, last, _ = await scoring.score_sealed(
        folder, name, columns, answers, collect=True
    )
    assert last["done"]["metrics"] == []
    return rows, last["done"]["withheld"], folder / "out"


def without_answers(columns):
    return {name: cells for name, cells in columns.items() if name != "answer"}


async def test_mmmu_test_leaves_its_submission_and_says_where_it_goes(tmp_path):
    columns = without_answers(mmmu(8))
    answers = ["A", "The answer is B", "who knows", "12.5", "C", "A", FAILED, "a cat"]
    rows, why, out = await collected(tmp_path, "MMMU_TEST", columns, answers)
    assert [row[:2] for row in rows][5:7] == [[None, None], ["timeout", None]]
    assert why == (
        "no score: the answers of MMMU_TEST are not public;"
        " submit m_MMMU_TEST.json to the MMMU leaderboard"
    )
    written = json.loads((out / "m_MMMU_TEST.json").read_text())
    assert list(written) == columns["id"]
    assert list(written.values()) == ["A", "B", False, "12.5", "C", "A", False, "a cat"]
    assert (out / "m_MMMU_TEST.xlsx").exists()


@pytest.mark.parametrize("name", ["MMT-Bench_ALL", "MMT-Bench_ALL_MI"])
async def test_mmt_bench_all_leaves_the_options_it_reads(tmp_path, name):
    columns = without_answers(scoring.multiple_choice(5))
    answers = ["A", "The answer is B", "who knows", FAILED, "C"]
    _, why, out = await collected(tmp_path, name, columns, answers)
    submission = f"m_{name}_exact_matching_submission.tsv"
    assert submission in why
    assert "eval.ai" in why
    table = pd.read_csv(out / submission, sep="\t")
    assert list(table["opt"]) == ["A", "B", "Z", "Z", "C"]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [f"m_{name}.xlsx", submission]
    )


@pytest.mark.parametrize(
    ("name", "columns", "said"),
    [
        ("DocVQA_TEST", without_answers(scoring.vqa(4, lists=True)), "no answers"),
        ("MMBench_TEST_EN", without_answers(circular(1)), "no answers"),
        ("AesBench_TEST", without_answers(scoring.multiple_choice(4)), "its authors"),
        ("MLLMGuard_DS", scoring.multiple_choice(4), "upstream has no scorer"),
        ("MMStar", scoring.multiple_choice(4), "mode infer"),
    ],
)
async def test_where_nothing_is_scored_the_reason_is_said(
    tmp_path, name, columns, said
):
    rows, why, out = await collected(tmp_path, name, columns, ["A"] * 4)
    assert said in why
    assert len(rows) == 4
    assert [path.name for path in out.iterdir()] == [f"m_{name}.xlsx"]


async def test_a_collection_that_is_only_asked_keeps_its_members_rows(tmp_path):
    answers = ["A"] * 12
    rows, why, out = await collected(
        tmp_path, "MMMB", scoring.multiple_choice(2), answers
    )
    assert "mode infer" in why
    assert [row[4] for row in rows][::4] == [
        "MMMB_ar:kind 0",
        "MMMB_en:kind 0",
        "MMMB_ru:kind 0",
    ]
    table = pd.read_excel(out / "m_MMMB.xlsx")
    assert list(table["SUB_DATASET"])[-1] == "MMMB_tr"
    assert table["image_path"][2] == "LMUData/images/MMMB_cn/0.jpg"
