"""Every picture family that needs no judge: upstream's files, a verdict or a reason for every row."""

from __future__ import annotations

import asyncio

import pandas as pd
import pytest

from assay.domain.sample import UnscoredReason
from support import scoring

GROUPS = 10
KINDS = scoring.MMT_KINDS
TABLES = {
    "MMBench_DEV_EN": scoring.circular(GROUPS),
    "CCBench": scoring.circular(GROUPS),
    "MMMU_DEV_VAL": scoring.mmmu(24),
    "GMAI-MMBench_VAL": scoring.gmai(24),
    "MMT-Bench_VAL": scoring.mmt(KINDS),
    "OCRBench": scoring.ocr_bench(24),
    "MTVQA_TEST": scoring.mtvqa(24),
    "COCO_VAL": scoring.captions(12),
    "MMMB": scoring.multiple_choice(8),
    "MTL_MMBench_DEV": scoring.circular(4),
}
FAILED = (str(UnscoredReason.TIMEOUT),)


def right(name):
    """The right answer of every row, as a model may give it."""
    columns = TABLES[name]
    answers = [str(answer).strip("[]'").split("'")[0] for answer in columns["answer"]]
    if name == "MMMU_DEV_VAL":
        answers = [a if len(a) == 1 else f"It is {a}" for a in answers]
    return answers * len(scoring.COLLECTIONS.get(name, "1"))


def mixed(name):
    """Most answers right, the rest awkward."""
    answers = right(name)
    awkward = scoring.predictions(len(answers))
    return [a if i % 3 else awkward[i // 3] for i, a in enumerate(answers)]


async def scored(tmp_path, name, answers, *, limit=0, columns=None):
    """Rows, figures by (split, name), and the last word."""
    columns = columns or TABLES[name]
    rows, last, _ = await scoring.score_sealed(
        tmp_path / "a", name, columns, answers, limit=limit
    )
    assert "done" in last, last
    return (
        rows,
        {(m["split"], m["name"]): m for m in last["done"]["metrics"]},
        last["done"],
    )


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
