"""A table and its right answers for every family that the sealed child scores without a judge."""

from __future__ import annotations

from assay.domain.sample import UnscoredReason
from support import scoring

TABLES = {
    "MMBench_DEV_EN": scoring.circular(10),
    "CCBench": scoring.circular(10),
    "MMMU_DEV_VAL": scoring.mmmu(24),
    "GMAI-MMBench_VAL": scoring.gmai(24),
    "MMT-Bench_VAL": scoring.mmt(scoring.MMT_KINDS),
    "OCRBench": scoring.ocr_bench(24),
    "MTVQA_TEST": scoring.mtvqa(24),
    "COCO_VAL": scoring.captions(12),
    "MMMB": scoring.multiple_choice(8),
    "MTL_MMBench_DEV": scoring.circular(4),
}
FAILED = (str(UnscoredReason.TIMEOUT),)
"""An answer that never came."""


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
    """Rows, metrics by (split, name), and the last word."""
    rows, last, _ = await scoring.score_sealed(
        tmp_path / "a", name, columns or TABLES[name], answers, limit=limit
    )
    assert "done" in last, last
    metrics = {(told["split"], told["name"]): told for told in last["done"]["metrics"]}
    return rows, metrics, last["done"]
