"""A table and its right answers for every family that the sealed child scores without a judge."""

from __future__ import annotations

from collections.abc import Sequence

from assay.domain.sample import UnscoredReason
from support import scoring


def circular(groups: int, rotations: int = 4) -> dict[str, list[object]]:
    """Questions with their options rotated, base rows first, as upstream numbers them."""
    rows = [(r, g) for r in range(rotations) for g in range(groups)]
    words = ("red", "blue", "via", "round")
    return {
        "index": [r * 1_000_000 + g for r, g in rows],
        "question": [f"Which one, {g}?" for _, g in rows],
        **{
            letter: [f"{words[(place + r) % 4]} {g}" for r, g in rows]
            for place, letter in enumerate("ABCD")
        },
        "answer": ["ABCD"[(g - r) % 4] for r, g in rows],
        "category": [f"kind {g % 3}" for _, g in rows],
        "l2-category": [
            ("attribute_reasoning", "logic_reasoning")[g % 2] for _, g in rows
        ],
        "split": ["dev" for _ in rows],
        "image": [scoring.PICTURE if r == 0 else str(g) for r, g in rows],
    }


MMT_KINDS = (
    "visual_recognition",
    "localization",
    "ocr",
    "counting",
    "hallucination",
    "image_retrieval",
    "threed",
    "visual_captioning",
    "visual_grounding",
    "doc_understanding",
    "action_recognition",
    "pixel_level_perception",
    "image-to-image_translation",
    "relation_reasoning",
    "intelligence_quotient_test",
    "emotion",
    "visual_illusion",
    "meme_understanding",
    "visual_prompt_understanding",
    "anomaly_detection",
    "keypoint_detection",
    "visual_commonsense_reasoning",
    "image_evaluation_judgement",
    "multiple_image_analysis",
    "cross_image_matching",
    "temporal_understanding",
    "visual_code",
    "medical_understanding",
    "autonomous_driving",
    "discipline_knowledge_reasoning",
    "embodied_ai",
    "gui_navigation",
)
"""Every l2-category of MMT-Bench."""


def mmt(kinds: Sequence[str], per_kind: int = 4) -> dict[str, list[object]]:
    """MMT-Bench: every kind of task, two tasks each."""
    count = len(kinds) * per_kind
    table = scoring.multiple_choice(count)
    table["l2-category"] = [kinds[i // per_kind] for i in range(count)]
    table["category"] = [f"{kinds[i // per_kind]} {i % 2}" for i in range(count)]
    table["split"] = [("VAL", "TEST")[i % 4 // 2] for i in range(count)]
    return table


def mmmu(count: int) -> dict[str, list[object]]:
    """MMMU: every fourth question is open."""
    table = scoring.multiple_choice(count)
    open_question = [i % 4 == 3 for i in range(count)]
    for letter in "ABCD":
        table[letter] = [
            "" if gone else cell
            for gone, cell in zip(open_question, table[letter], strict=True)
        ]
    table["answer"] = [
        ("12.5", "cat")[i // 4 % 2] if gone else "ABC"[i % 4]
        for i, gone in enumerate(open_question)
    ]
    table["split"] = [("dev", "validation")[i % 2] for i in range(count)]
    table["id"] = [f"{table['split'][i]}_Art_{i}" for i in range(count)]
    table["l2-category"] = [("Art", "Science")[i % 3 == 0] for i in range(count)]
    return table


def gmai(count: int) -> dict[str, list[object]]:
    table = scoring.multiple_choice(count)
    for name in ("clinical vqa task", "department", "perceptual granularity"):
        table[name] = [f"{name} {i % 3}" for i in range(count)]
    return table


OCR_KINDS = (
    "Regular Text Recognition",
    "Digit String Recognition",
    "Doc-oriented VQA",
    "Scene Text-centric VQA",
    "Handwritten Mathematical Expression Recognition",
    "Key Information Extraction",
)


def ocr_bench(count: int) -> dict[str, list[object]]:
    words = ("7", "Blue", "via", "a b", "x = 1", "None")
    return {
        "index": list(range(count)),
        "question": [f"What is written, {i}?" for i in range(count)],
        "answer": [str([words[i % 5], f"other {i}"]) for i in range(count)],
        "category": [OCR_KINDS[i % len(OCR_KINDS)] for i in range(count)],
        "image": [scoring.PICTURE] * count,
    }


def mtvqa(count: int) -> dict[str, list[object]]:
    table = scoring.vqa(count, lists=False)
    table["category"] = [("AR", "DE", "JA")[i % 3] for i in range(count)]
    table["split"] = ["test"] * count
    return table


def captions(count: int) -> dict[str, list[object]]:
    return {
        "index": list(range(count)),
        "answer": [
            str([f"a dog number {i} runs in the park", f"the dog {i} is running"])
            for i in range(count)
        ],
        "image": [scoring.PICTURE] * count,
    }


TABLES = {
    "MMBench_DEV_EN": circular(10),
    "CCBench": circular(10),
    "MMMU_DEV_VAL": mmmu(24),
    "GMAI-MMBench_VAL": gmai(24),
    "MMT-Bench_VAL": mmt(MMT_KINDS),
    "OCRBench": ocr_bench(24),
    "MTVQA_TEST": mtvqa(24),
    "COCO_VAL": captions(12),
    "MMMB": scoring.multiple_choice(8),
    "MTL_MMBench_DEV": circular(4),
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
