"""Derives `domain/catalog.json` from upstream's own tables: `python -m assay.vlmevalkit.catalog`.

Run by a developer when ms-vlmeval is updated; a test compares its result with the committed file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from assay.domain import catalog as committed
from assay.domain.catalog import Family, JudgeNeed
from assay.vlmevalkit import shim

TARGET = Path(committed.__file__).with_name("catalog.json")

# As EvalScope's documentation lists them; {} are alternatives.
_DOCUMENTED = (
    "A-Bench_{TEST,VAL} AI2D_TEST{,_NO_MASK} AesBench_{TEST,VAL} BLINK CCBench COCO_VAL ChartQA_TEST"
    " DUDE{,_MINI} DocVQA_{TEST,VAL} GMAI_mm_bench_VAL HallusionBench InfoVQA_{TEST,VAL} LLaVABench"
    " MLLMGuard_DS MMBench-Video MMBench_DEV_CN{,_V11} MMBench_DEV_EN{,_V11} MMBench_TEST_CN{,_V11}"
    " MMBench_TEST_EN{,_V11} MMBench_dev_{ar,cn,en,pt,ru,tr} MMDU MME MMLongBench_DOC"
    " MMMB{,_ar,_cn,_en,_pt,_ru,_tr} MMMU_{DEV_VAL,TEST} MMStar MMT-Bench_ALL{,_MI}"
    " MMT-Bench_VAL{,_MI} MMVet MTL_MMBench_DEV MTVQA_TEST MVBench{,_MP4} MathVision{,_MINI}"
    " MathVista_MINI OCRBench OCRVQA_TEST{,CORE} POPE Q-Bench1_{TEST,VAL} RealWorldQA SEEDBench2{,_Plus}"
    " SEEDBench_IMG SLIDEVQA{,_MINI} ScienceQA_{TEST,VAL} TaskMeAnything_v1_imageqa_random TextVQA_VAL"
    " VCR_EN_EASY_{100,500,ALL} VCR_EN_HARD_{100,500,ALL} VCR_ZH_EASY_{100,500,ALL}"
    " VCR_ZH_HARD_{100,500,ALL} Video-MME"
)

_NO_ANSWERS = (
    "A-Bench_TEST AesBench_TEST DocVQA_TEST InfoVQA_TEST MLLMGuard_DS MMBench_TEST_CN"
    " MMBench_TEST_CN_V11 MMBench_TEST_EN MMBench_TEST_EN_V11 MMMU_TEST MMT-Bench_ALL"
    " MMT-Bench_ALL_MI Q-Bench1_TEST"
)

_MANDATORY = "MathVista MathVision MMVet LLaVABench MMDUDataset DUDE SlideVQA MMLongBench MMBenchVideo"

_FAMILY_OF_CLASS = {
    "ConcatDataset": Family.MCQ_CONCAT,
    "MMMUDataset": Family.MCQ_MMMU,
    "GMAIMMBenchDataset": Family.MCQ,
    "ImageYORNDataset": Family.YES_NO,
    "ImageVQADataset": Family.VQA,
    "ImageCaptionDataset": Family.CAPTION,
    "MMDUDataset": Family.MULTI_TURN,
}

_LATER = "until then use a multiple-choice, yes/no or VQA name such as MMStar, POPE or ChartQA_TEST"
_REFUSALS: dict[Family, str] = {
    Family.MCQ_CIRCULAR: "its rotated questions are scored in groups, which comes later",
    Family.MCQ_CONCAT: "a collection of several datasets comes later",
    Family.MCQ_MMT: "its averages over sub-tasks come later",
    Family.MCQ_MMMU: "questions with pictures between the words come later",
    Family.VQA_OWN: "this family's own scorer comes later",
    Family.CAPTION: "caption scoring comes later",
    Family.MULTI_TURN: "conversations of several turns come later",
    Family.VIDEO: "video datasets come later",
}

_MMMB_CURE = (
    "name the parts instead: MMMB_ar, MMMB_cn, MMMB_en, MMMB_pt, MMMB_ru, MMMB_tr"
)


def documented() -> list[str]:
    """The documented names, in the documentation's order."""
    found: list[str] = []
    for word in _DOCUMENTED.split():
        head, brace, rest = word.partition("{")
        alternatives = rest.rstrip("}").split(",") if brace else [""]
        found.extend(head + each for each in alternatives)
    return found


def rows() -> list[dict[str, str | bool]]:
    """One row per documented name, from the tables of the installed VLMEvalKit."""
    shim.install()
    from vlmeval import dataset as upstream  # noqa: PLC0415 - only behind the shim

    classes = {
        name: cls
        for cls in reversed(upstream.DATASET_CLASSES)
        for name in cls.supported_datasets()
    }
    return [_row(name, classes.get(name)) for name in sorted(documented())]


def _row(name: str, cls: Any) -> dict[str, str | bool]:
    family = _family(name, cls)
    row: dict[str, str | bool] = {
        "name": name,
        "cls": cls.__name__ if cls else "",
        "type": str(getattr(cls, "TYPE", "MCQ")),
        "family": family.value,
        "url": _of_table(cls, "DATASET_URL", name),
        "md5": _of_table(cls, "DATASET_MD5", name),
        "answers": name not in _NO_ANSWERS.split(),
        "judge": _judge(cls, family).value,
    }
    refusal, cure = _refusal(name, family, row)
    if refusal:
        row |= {"refusal": refusal, "cure": cure}
    return row


def _of_table(cls: Any, table: str, name: str) -> str:
    found = getattr(cls, table, None)
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, str) else ""


def _family(name: str, cls: Any) -> Family:
    if getattr(cls, "MODALITY", "IMAGE") == "VIDEO":
        return Family.VIDEO
    if cls is None:
        return Family.MCQ
    if cls.__name__ != "ImageMCQDataset":
        return _FAMILY_OF_CLASS.get(cls.__name__, Family.VQA_OWN)
    if any(word in name.lower() for word in ("mmbench", "ccbench", "circular", "mmcr")):
        return Family.MCQ_CIRCULAR
    return Family.MCQ_MMT if "MMT" in name else Family.MCQ


def _judge(cls: Any, family: Family) -> JudgeNeed:
    if cls is not None and cls.__name__ in _MANDATORY.split():
        return JudgeNeed.MANDATORY
    if family in {Family.VQA, Family.VQA_OWN, Family.CAPTION}:
        return JudgeNeed.NONE
    return JudgeNeed.OPTIONAL


def _refusal(name: str, family: Family, row: dict[str, str | bool]) -> tuple[str, str]:
    if not row["cls"]:
        return (
            "VLMEvalKit 0.0.20 knows it as GMAI-MMBench_VAL, which comes later",
            _LATER,
        )
    if not row["answers"]:
        return (
            "its file holds no answers, so it can be asked but not scored; runs without a score come later",
            name.replace("_TEST", "_VAL").join(("use ", " instead"))
            if name.replace("_TEST", "_VAL") in documented() and "_TEST" in name
            else _LATER,
        )
    if row["judge"] == JudgeNeed.MANDATORY:
        return "only a judge model can score it, and judge models come later", _LATER
    if name == "MMMB":
        return _REFUSALS[family], _MMMB_CURE
    why = _REFUSALS.get(family, "")
    return why, _LATER if why else ""


def main() -> None:
    """Writes the file."""
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows())
    TARGET.write_text(f"[\n{lines}\n]\n", "utf-8")
    sys.stderr.write(f"{TARGET}: written\n")


if __name__ == "__main__":
    main()
