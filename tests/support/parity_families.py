"""Which datasets the parity tests run, and what is particular about each; the tests' only list."""

from __future__ import annotations

FAMILIES = {
    "SEEDBench_IMG": "multiple choice",
    "Courtyard": "custom multiple choice, splits",
    "A-Bench_VAL": "multiple choice, hyphens in the name",
    "Q-Bench1_VAL": "multiple choice, numbers as categories, JPEG paths in folders",
    "AI2D_TEST": "multiple choice, PNG paths, no category",
    "ScienceQA_VAL": "multiple choice, hints, five options",
    "BLINK": "multiple choice, several pictures",
    "MMMU_DEV_VAL": "multiple choice, pictures between the words, open questions",
    "GMAI-MMBench_VAL": "multiple choice, four score tables",
    "MMBench_DEV_EN": "rotated, all first rotations first",
    "MMBench_DEV_CN_V11": "rotated, question by question",
    "CCBench": "rotated",
    "MMMB": "collection, JPEG twice",
    "MTL_MMBench_DEV": "collection, rotated, JPEG twice",
    "MMT-Bench_VAL": "macro averages",
    "MMT-Bench_VAL_MI": "macro averages, several pictures, a split",
    "POPE": "yes/no",
    "MME": "yes/no pairs, JPEG paths",
    "HallusionBench": "yes/no groups, text index",
    "ChartQA_TEST": "VQA, numbers only",
    "TextVQA_VAL": "VQA, ten answers",
    "DocVQA_VAL": "VQA, edit distance",
    "InfoVQA_VAL": "VQA, edit distance",
    "OCRVQA_TEST": "VQA, exact, JPEG paths in folders",
    "OCRBench": "counts",
    "MTVQA_TEST": "substring, nine languages",
    "COCO_VAL": "captions, no question",
    "MMMU_TEST": "submission, JPEG paths",
    "MMT-Bench_ALL": "submission",
    "DocVQA_TEST": "no answers",
    "MMBench_TEST_EN": "no answers, rotated",
    "MLLMGuard_DS": "no scorer",
}
"""Name and what it stands for."""

UNSCORED = tuple(
    name
    for name, what in FAMILIES.items()
    if what.startswith(("submission", "no answers", "no scorer"))
)
"""Asked and never scored, as upstream's run.py has it."""

GROUPED = tuple(
    name
    for name, what in FAMILIES.items()
    if "rotated" in what and name not in UNSCORED
)
"""With questions whose options are rotated."""

FAILING = (
    *(
        "BLINK",
        "MMMU_DEV_VAL",
        "MMBench_DEV_EN",
        "MMMB",
        "MMT-Bench_VAL",
        "POPE",
        "MME",
    ),
    *("ChartQA_TEST", "TextVQA_VAL", "OCRVQA_TESTCORE", "OCRBench"),
)
"""Scored though requests fail for ever."""

SUBMITTED = "MMMU_TEST"
"""Submitted though requests fail for ever."""

LIMITED = (
    *("Courtyard", "MMMU_DEV_VAL", "MMBench_DEV_CN_V11", "MMBench_dev_ar", "MME"),
    *("TextVQA_VAL", "OCRBench", "MMMU_TEST"),
)
"""Run with a limit."""

SHARED = ("MMBench_DEV_CN_V11", "MME", "TextVQA_VAL")
"""Run by several workers."""
