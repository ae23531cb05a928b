"""The sealed scoring child: upstream's files, a verdict or a reason for every row, figures or why not."""

from __future__ import annotations

import asyncio

import pandas as pd
import pytest

from assay.domain.sample import UnscoredReason
from support import scoring

COUNT = 40
TABLES = {
    "MMStar": scoring.multiple_choice(COUNT),
    "MyOwnTable": scoring.multiple_choice(COUNT),
    "POPE": scoring.pope(COUNT),
    "MME": scoring.mme(COUNT),
    "HallusionBench": scoring.hallusion(COUNT),
    "ChartQA_TEST": scoring.vqa(COUNT, lists=False, split=True),
    "TextVQA_VAL": scoring.vqa(COUNT, lists=True),
    "DocVQA_VAL": scoring.vqa(COUNT, lists=True),
    "OCRVQA_TEST": scoring.vqa(COUNT, lists=False),
}
NUMBERS = [("5", "007", "2.5")[i % 3] for i in range(COUNT)]


def mixed(columns):
    """Every other answer right, the rest awkward."""
    awkward = scoring.predictions(COUNT)
    return [
        str(answer).strip("[]'").split("'")[0] if i % 2 else awkward[i // 2]
        for i, answer in enumerate(columns["answer"])
    ]


def equal_files(ours, theirs):
    """Both folders hold the same files with the same content; xlsx files carry a creation time."""
    names = sorted(path.name for path in theirs.iterdir() if path.suffix != ".pkl")
    assert sorted(path.name for path in ours.iterdir()) == names
    for name in names:
        if name.endswith(".xlsx"):
            pd.testing.assert_frame_equal(
                pd.read_excel(ours / name), pd.read_excel(theirs / name)
            )
        else:
            assert (ours / name).read_bytes() == (theirs / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, "mixed") for name in TABLES),
        *((name, "numbers") for name in ("MyOwnTable", "ChartQA_TEST", "DocVQA_VAL")),
        *((name, "limit") for name in ("MMStar", "MME", "ChartQA_TEST")),
    ],
)
async def test_with_every_row_counted_the_files_are_upstreams(tmp_path, name, kind):
    columns = TABLES[name]
    answers = NUMBERS if kind == "numbers" else mixed(columns)
    if kind == "mixed":  # a model that really says so is a prediction like any other
        answers[3] = "Failed to obtain answer via API."
    limit = 10 if kind == "limit" else 0
    theirs = await asyncio.to_thread(
        scoring.score_upstream, tmp_path / "b", name, columns, answers, limit=limit
    )
    rows, last, _ = await scoring.score_sealed(
        tmp_path / "a", name, columns, answers, limit=limit
    )
    assert len(rows) == (limit or COUNT)
    assert last["done"]["withheld"] == ""
    equal_files(tmp_path / "a" / "out", theirs)


async def scored(tmp_path, name, columns, answers, limit=0):
    rows, last, _ = await scoring.score_sealed(
        tmp_path / "a", name, columns, answers, limit=limit
    )
    metrics = {
        (m["split"], m["name"]): (m["value"], m["n"]) for m in last["done"]["metrics"]
    }
    return rows, metrics, last["done"]["withheld"]


FAILED = (str(UnscoredReason.TIMEOUT),)


async def test_per_row_scores_average_to_upstreams_figure(tmp_path):
    for name in ("MMStar", "HallusionBench", "DocVQA_VAL", "ChartQA_TEST"):
        columns = TABLES[name]
        rows, metrics, _ = await scored(tmp_path / name, name, columns, mixed(columns))
        scores = [row[1] for row in rows]
        mean = sum(scores) / len(scores)
        if name == "MMStar":
            halves = metrics["dev", "Overall"][0] + metrics["test", "Overall"][0]
            assert mean == pytest.approx(halves / 2)
        elif name == "HallusionBench":
            assert 100 * mean == pytest.approx(metrics["Overall", "aAcc"][0])
        else:
            assert 100 * mean == pytest.approx(metrics["none", "Overall"][0])


async def test_unscored_rows_leave_figures_and_files_but_not_the_prediction_file(
    tmp_path,
):
    columns = scoring.multiple_choice(12)
    answers = [*columns["answer"][:8], "A", "A", FAILED, FAILED]
    rows, metrics, withheld = await scored(tmp_path, "MyOwnTable", columns, answers)
    assert [row[0] for row in rows[9:]] == [None, "timeout", "timeout"]
    assert rows[10][1:3] == [None, None]
    assert rows[10][3] == "C"
    assert withheld == ""
    assert metrics["dev", "Overall"] == (1.0, 5)
    assert metrics["test", "Overall"] == (0.8, 5)
    out = tmp_path / "a" / "out"
    whole = pd.read_excel(out / "m_MyOwnTable.xlsx")
    assert whole["prediction"].iloc[11] == "Failed to obtain answer via API."
    rest = pd.read_excel(out / "m_MyOwnTable_exact_matching_result.xlsx")
    assert list(rest["index"]) == list(range(10))


async def test_a_category_that_lost_all_its_rows_has_no_figure(tmp_path):
    columns = scoring.multiple_choice(12)
    columns["category"] = ["rare", *["common"] * 11]
    answers = [FAILED, *columns["answer"][1:]]
    _, metrics, _ = await scored(tmp_path, "MyOwnTable", columns, answers)
    assert metrics["dev", "rare"] == (None, 0)
    assert metrics["dev", "common"] == (1.0, 5)


async def test_the_score_is_withheld_where_leaving_rows_out_changes_the_others(
    tmp_path,
):
    columns = scoring.vqa(12, lists=False)
    columns["answer"] = ["007"] * 6 + ["blue"] * 6
    answers = ["007"] * 6 + [FAILED] * 6
    rows, metrics, withheld = await scored(tmp_path, "ChartQA_TEST", columns, answers)
    assert "changes how upstream reads 6 others" in withheld
    assert metrics == {}
    assert [row[1] for row in rows] == [1.0] * 6 + [None] * 6


async def test_no_scored_row_is_no_score(tmp_path):
    columns = scoring.pope(4)
    _, metrics, withheld = await scored(tmp_path, "POPE", columns, [FAILED] * 4)
    assert (metrics, withheld) == ({}, "no sample was scored")


async def test_an_unscored_question_of_mme_takes_its_pair(tmp_path):
    columns = scoring.mme(12)
    answers = list(columns["answer"])
    answers[4] = FAILED
    rows, metrics, withheld = await scored(tmp_path, "MME", columns, answers)
    assert [row[0] for row in rows[3:7]] == [None, "timeout", "group_incomplete", None]
    assert withheld == ""
    # code_reasoning had two pictures and keeps one.
    assert metrics["none", "code_reasoning"] == (200.0, 2)
    assert metrics["none", "perception"] == (400.0, 8)


async def test_a_category_of_mme_without_rows_takes_its_total(tmp_path):
    columns = scoring.mme(6)
    answers = [*columns["answer"][:2], FAILED, "No", "Yes", "No"]
    _, metrics, _ = await scored(tmp_path, "MME", columns, answers)
    assert metrics["none", "color"] == (None, 0)
    assert metrics["none", "perception"][0] is None
    assert metrics["none", "OCR"] == (200.0, 2)


async def test_mme_cut_within_a_pair_has_verdicts_and_a_reason_instead_of_a_score(
    tmp_path,
):
    columns = scoring.mme(12)
    rows, metrics, withheld = await scored(
        tmp_path, "MME", columns, list(columns["answer"]), limit=7
    )
    assert [row[1] for row in rows] == [1.0] * 7
    assert metrics == {}
    assert "of 1 picture(s) only one is in the table" in withheld


async def test_hallusion_keeps_its_plain_accuracy_and_withholds_those_of_groups(
    tmp_path,
):
    columns = scoring.hallusion(COUNT)
    answers = list(columns["answer"])
    answers[0] = FAILED
    _, metrics, _ = await scored(tmp_path, "HallusionBench", columns, answers)
    assert metrics["Overall", "aAcc"] == (100.0, COUNT - 1)
    assert metrics["Overall", "fAcc"][0] is None
    assert metrics["VD", "qAcc"][0] is None
    assert metrics["VS", "fAcc"] == (100.0, 20)


async def test_a_row_that_breaks_upstreams_function_is_unscored_alone(tmp_path):
    columns = scoring.multiple_choice(8)
    columns["question"][3] = "NA"  # read back as no text at all
    rows, metrics, _ = await scored(
        tmp_path, "MyOwnTable", columns, list(columns["answer"])
    )
    assert [row[0] for row in rows] == [None] * 3 + ["scorer_error"] + [None] * 4
    assert metrics["test", "Overall"] == (1.0, 3)


async def test_an_empty_list_of_answers_is_one_rows_trouble(tmp_path):
    columns = scoring.vqa(6, lists=True)
    columns["answer"][2] = "[]"
    rows, metrics, _ = await scored(tmp_path, "DocVQA_VAL", columns, ["x"] * 6)
    assert [row[0] for row in rows][2] == "scorer_error"
    assert metrics["none", "Overall"][1] == 5


@pytest.mark.parametrize(
    ("name", "columns", "said"),
    [
        ("MMVP", scoring.multiple_choice(4), "scorer of its own"),
        ("Plain", scoring.vqa(4, lists=False), "no scorer for a custom dataset"),
        (
            "MyOwnTable",
            {k: v for k, v in scoring.multiple_choice(4).items() if k != "answer"},
            "KeyError: 'answer'",
        ),
    ],
)
async def test_what_cannot_be_scored_says_why(tmp_path, name, columns, said):
    answers = ["A"] * 4
    _, last, _ = await scoring.score_sealed(tmp_path / "a", name, columns, answers)
    assert said in last["error"]["message"]


async def test_a_cell_that_is_code_runs_behind_the_seal_and_gets_nothing(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("sk-secret")
    columns = scoring.vqa(4, lists=False)
    columns["answer"][1] = f"[open('{secret}').read(), __import__('os').system('id')]"
    rows, _, _ = await scored(tmp_path, "ChartQA_TEST", columns, ["sk-secret"] * 4)
    assert rows[1][1] == 0.0
