"""Every picture family that needs no judge: upstream's files, a verdict or a reason for every row."""

from __future__ import annotations

import asyncio
import json

import pandas as pd
import pytest

from support import scoring
from support.scoring_runs import FAILED, TABLES, mixed, right, scored


def equal_files(ours, theirs):
    """The same files with the same content, but for where upstream's own pictures lie."""
    names = sorted(path.name for path in theirs.iterdir() if path.suffix != ".pkl")
    assert sorted(path.name for path in ours.iterdir()) == names
    for name in names:
        if not name.endswith(".xlsx"):
            assert (ours / name).read_bytes() == (theirs / name).read_bytes()
            continue
        mine, other = pd.read_excel(ours / name), pd.read_excel(theirs / name)
        if len(other) and "image_path" in other:
            root = str(theirs.parent / "lmu")
            other["image_path"] = [
                path.replace(root, "LMUData") for path in other["image_path"]
            ]
        pd.testing.assert_frame_equal(mine, other)


@pytest.mark.parametrize(
    ("name", "limit"), [*((name, 0) for name in TABLES), ("OCRBench", 7), ("MMMB", 11)]
)
async def test_with_every_row_counted_the_files_are_upstreams_own(
    tmp_path, name, limit
):
    answers = mixed(name)
    answers[4] = "Failed to obtain answer via API."
    _, _, done = await scored(tmp_path, name, answers, limit=limit)
    assert done["withheld"] == ""
    theirs = await asyncio.to_thread(
        scoring.score_upstream,
        tmp_path / "b",
        name,
        TABLES[name],
        answers,
        limit=limit,
    )
    equal_files(tmp_path / "a" / "out", theirs)


def printed(folder, name):
    """Every number in upstream's score file, by split and name as the metrics have them."""
    found = {}
    for path in folder.glob(f"m_{name}_score.json"), folder.glob(f"m_{name}_acc.json"):
        for each in path:
            for key, value in json.loads(each.read_text()).items():
                parts = value if isinstance(value, list) else [value]
                names = (
                    [key] if parts == [value] else [f"Bleu_{n}" for n in range(1, 5)]
                )
                found |= {("none", n): v for n, v in zip(names, parts, strict=True)}
    if found:
        return found
    table = pd.read_csv(folder / f"m_{name}_acc.csv")
    for record in table.to_dict("records"):
        split, member = record.pop("split"), record.pop("DATASET", "")
        split = f"{member}:{split}" if member else split
        found |= {(split, key): value for key, value in record.items()}
    return found


@pytest.mark.parametrize(
    "name",
    [
        "CCBench",
        "MMMU_DEV_VAL",
        "MMT-Bench_VAL",
        "OCRBench",
        "MTVQA_TEST",
        "COCO_VAL",
        "MMMB",
    ],
)
async def test_what_upstream_would_have_printed_stands_beside_each_figure(
    tmp_path, name
):
    answers = mixed(name)
    answers[1] = answers[7] = answers[-1] = FAILED
    _, metrics, done = await scored(tmp_path, name, answers)
    assert done["withheld"] == ""
    theirs = await asyncio.to_thread(
        scoring.score_upstream, tmp_path / "b", name, TABLES[name], answers
    )
    expected = printed(theirs, name)
    known = {k: told["upstream"] for k, told in metrics.items()}
    # Where no row of the table is in a figure, upstream prints 0 or nothing, and we say nothing.
    empty = {key for key, value in known.items() if value is None}
    assert all(expected[key] == 0 or expected[key] != expected[key] for key in empty)
    assert {k: v for k, v in known.items() if k not in empty} == {
        k: pytest.approx(v) for k, v in expected.items() if k in known.keys() - empty
    }


@pytest.mark.parametrize("name", ["OCRBench", "COCO_VAL"])
async def test_an_answer_cell_that_upstream_cannot_read_is_one_rows_trouble(
    tmp_path, name
):
    columns = {**TABLES[name], "answer": list(TABLES[name]["answer"])}
    columns["answer"][2] = "[unclosed"
    rows, metrics, done = await scored(tmp_path, name, right(name), columns=columns)
    assert [row for row, told in enumerate(rows) if told[0]] == [2]
    assert rows[2][0] == "scorer_error"
    assert done["withheld"] == ""
    for told in metrics.values():
        assert told["upstream"] is None
        assert "fails at sample 2: SyntaxError" in told["upstream_reason"]
    assert max(told["n"] for told in metrics.values()) == len(rows) - 1


async def test_ocrbench_counts_and_its_scale_is_what_it_counted(tmp_path):
    answers = right("OCRBench")
    answers[0], answers[5] = FAILED, "wrong"
    _, metrics, _ = await scored(tmp_path, "OCRBench", answers)
    final = metrics["none", "Final Score"]
    assert (final["value"], final["scale"], final["n"]) == (22, [0, 23], 23)
    norm = metrics["none", "Final Score Norm"]
    assert (norm["value"], norm["scale"]) == (2.2, [0, 2.3])
    text = metrics["none", "Text Recognition"]
    assert (text["value"], text["scale"], text["bounds"]) == (7, [0, 7], None)


async def test_a_language_of_mtvqa_without_rows_has_no_figure(tmp_path):
    answers = [a if i % 3 else FAILED for i, a in enumerate(right("MTVQA_TEST"))]
    _, metrics, _ = await scored(tmp_path, "MTVQA_TEST", answers)
    assert metrics["none", "AR"]["value"] is None
    assert metrics["none", "AR"]["bounds"] == [0.0, 100.0]
    average = metrics["none", "Average"]
    assert (average["value"], average["n"]) == (100.0, 16)
    assert average["bounds"] == [pytest.approx(200 / 3), 100.0]


async def test_a_captions_own_score_is_the_one_whose_mean_is_upstreams_figure(tmp_path):
    answers = mixed("COCO_VAL")
    answers[3] = FAILED
    rows, metrics, _ = await scored(tmp_path, "COCO_VAL", answers)
    scores = [row[1] for row in rows if row[0] is None]
    rouge = metrics["none", "ROUGE_L"]
    assert rouge["value"] == pytest.approx(100 * sum(scores) / 11)
    assert rouge["bounds"][0] == pytest.approx(100 * sum(scores) / 12)
    assert rows[0][2] == "A"
    assert metrics["none", "CIDEr"]["scale"] == [0, 1000]
    assert metrics["none", "Bleu_4"]["bounds"] is None
    assert set(metrics) == {
        ("none", n)
        for n in ("Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "ROUGE_L", "CIDEr")
    }


async def test_gmai_leaves_a_table_for_each_of_its_three_groupings(tmp_path):
    answers = right("GMAI-MMBench_VAL")
    answers[0] = FAILED
    _, metrics, _ = await scored(tmp_path, "GMAI-MMBench_VAL", answers)
    assert metrics["dev", "Overall"]["n"] == 11
    for group in ("clinical vqa task", "department", "perceptual granularity"):
        path = tmp_path / "a" / "out" / f"m_GMAI-MMBench_VAL_{group}_acc.csv"
        table = pd.read_csv(path).set_index("split")
        assert table.loc["dev", "Overall"] == 1.0
        assert f"{group} 2" in table.columns
