"""Whether a prepared dataset has answers, and how few rows can be scored, is read from its table."""

from __future__ import annotations

import hashlib

import pytest

from assay.domain.errors import DatasetError
from assay.store.prepared import read_manifest
from support.dataset_process import mcq_rows, write_tsv
from support.dataset_service import make_service, ready, request

KINDS = 32
"""Kinds of task that MMT-Bench averages over."""


async def _manifest(tmp_path, name, rows):
    service, store = make_service(tmp_path / "cache")
    path = write_tsv(tmp_path / "any.tsv", rows)
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    ref, _ = await ready(service, request(name, path=str(path), md5=md5))
    return read_manifest(store, name, ref.digest)


def _answered(count):
    return mcq_rows(count)


def _partly(count):
    return [row | {"answer": "A" if row["index"] else ""} for row in mcq_rows(count)]


def _unanswered(count):
    return [{k: v for k, v in row.items() if k != "answer"} for row in mcq_rows(count)]


@pytest.mark.parametrize(
    ("name", "rows", "answers"),
    [
        ("MMBench_TEST_EN", _answered, True),
        ("MMBench_TEST_EN", _partly, False),
        ("MMBench_TEST_EN", _unanswered, False),
        ("MMBench_DEV_EN", _partly, True),
        ("Q-Bench1_TEST", _answered, False),
    ],
)
async def test_a_dataset_is_scored_where_upstream_would_score_it(
    tmp_path, name, rows, answers
):
    assert (await _manifest(tmp_path, name, rows(2))).answers is answers


async def test_a_dataset_that_is_scored_needs_a_column_of_answers(tmp_path):
    with pytest.raises(DatasetError, match="no column `answer`"):
        await _manifest(tmp_path, "MMBench_DEV_EN", _unanswered(2))


@pytest.mark.parametrize(
    ("name", "least"), [("MMT-Bench_VAL", KINDS + 2), ("MMT-Bench_ALL", 0)]
)
async def test_mmt_bench_says_how_many_rows_it_takes_to_have_every_kind_of_task(
    tmp_path, name, least
):
    # The first two rows are of one kind, so the last kind comes two rows late.
    kinds = [_KINDS[max(0, n - 2)] for n in range(KINDS + 2)]
    rows = [
        row | {"category": "some", "l2-category": kind}
        for row, kind in zip(mcq_rows(len(kinds)), kinds, strict=True)
    ]
    assert (await _manifest(tmp_path, name, rows)).least_limit == least


async def test_rotated_questions_need_whole_numbers(tmp_path):
    rows = [row | {"index": f"row {row['index']}"} for row in mcq_rows(2)]
    with pytest.raises(DatasetError, match="whole numbers") as refused:
        await _manifest(tmp_path, "My_MMBench", rows)
    assert "without mmbench" in str(refused.value.cure)


_KINDS = [
    "visual_recognition", "localization", "ocr", "counting", "hallucination", "image_retrieval", "threed",
    "visual_captioning", "visual_grounding", "doc_understanding", "action_recognition",
    "pixel_level_perception", "image-to-image_translation", "relation_reasoning",
    "intelligence_quotient_test", "emotion", "visual_illusion", "meme_understanding",
    "visual_prompt_understanding", "anomaly_detection", "keypoint_detection",
    "visual_commonsense_reasoning", "image_evaluation_judgement", "multiple_image_analysis",
    "cross_image_matching", "temporal_understanding", "visual_code", "medical_understanding",
    "autonomous_driving", "discipline_knowledge_reasoning", "embodied_ai", "gui_navigation",
]  # fmt: skip
