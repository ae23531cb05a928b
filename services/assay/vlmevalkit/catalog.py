"""Derives `domain/catalog.json` from upstream's own tables: `python -m assay.vlmevalkit.catalog`.

Run by a developer when ms-vlmeval is updated; a test compares its result with the committed file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from assay.domain import catalog as committed
from assay.domain.catalog import Family, JudgeNeed, State
from assay.vlmevalkit import shim
from assay.vlmevalkit.prepare_classes import family_of

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

_RENAMED = {"GMAI_mm_bench_VAL": "GMAI-MMBench_VAL"}
"""What upstream calls a documented name now."""

_PREDICTIONS = "predictions are made, and no score"
_NO_TRUTH = f"a test split without answers: {_PREDICTIONS}"
_OFFICIAL = f"upstream's file holds no answers: {_PREDICTIONS}"
_SUBMITTED = "its answers are not public: predictions are made, and the file to submit"

_INFER_ONLY = {
    "A-Bench_TEST": _NO_TRUTH,
    "AesBench_TEST": f"its authors keep the answers and score what is sent to them: {_PREDICTIONS}",
    "DocVQA_TEST": _NO_TRUTH,
    "InfoVQA_TEST": _NO_TRUTH,
    "MLLMGuard_DS": f"upstream has no scorer for it: {_PREDICTIONS}",
    "MMBench_TEST_CN": _OFFICIAL,
    "MMBench_TEST_CN_V11": _OFFICIAL,
    "MMBench_TEST_EN": _OFFICIAL,
    "MMBench_TEST_EN_V11": _OFFICIAL,
    "MMMU_TEST": _SUBMITTED,
    "MMT-Bench_ALL": _SUBMITTED,
    "MMT-Bench_ALL_MI": _SUBMITTED,
    "Q-Bench1_TEST": _NO_TRUTH,
}
"""Names that upstream asks and does not score, and why."""

_MANDATORY = "MathVista MathVision MMVet LLaVABench MMDUDataset DUDE SlideVQA MMLongBench MMBenchVideo"

_REFUSALS: dict[Family, tuple[str, str]] = {
    Family.VIDEO: (
        "video datasets come later",
        "until then use picture datasets such as MMStar, POPE or ChartQA_TEST",
    ),
}

_JUDGED = (
    "only a judge model can score it",
    "name one with judge and judge_base_url, or use a name that rules score, such as MMStar or POPE",
)

_JUDGED_HERE = frozenset(
    {"MathVista_MINI", "MathVision", "MathVision_MINI", "MMVet", "LLaVABench", "MMDU"}
)
"""Names that only a judge scores and that are tried against upstream."""

_DOCUMENTS = (
    "documents of many pages come later",
    "until then use datasets of one picture a question, such as DocVQA_VAL or InfoVQA_VAL",
)

_VCR_REASON = (
    "VLMEvalKit needs packages for it that it does not name (evaluate, spacy with two language"
    " models, rouge_score); they come later"
)
_VCR_CURE = "until then use another dataset about text in pictures, such as TextVQA_VAL or OCRBench"


def documented() -> list[str]:
    """The documented names, in the documentation's order."""
    found: list[str] = []
    for word in _DOCUMENTED.split():
        head, brace, rest = word.partition("{")
        alternatives = rest.rstrip("}").split(",") if brace else [""]
        found.extend(head + each for each in alternatives)
    return found


def rows() -> list[dict[str, Any]]:
    """One row per documented name and per new name, from the tables of the installed VLMEvalKit."""
    shim.install()
    from vlmeval import dataset as upstream  # noqa: PLC0415 - only behind the shim

    classes = {
        name: cls
        for cls in reversed(upstream.DATASET_CLASSES)
        for name in cls.supported_datasets()
    }
    names = sorted({*documented(), *_RENAMED.values()})
    return [_row(name, classes.get(_RENAMED.get(name, name))) for name in names]


def _row(name: str, cls: Any) -> dict[str, Any]:
    family = _family(name, cls)
    judge = _judge(cls, family)
    state, reason, cure = _state(name, family, judge)
    row: dict[str, Any] = {
        "name": name,
        "cls": cls.__name__,
        "type": str(getattr(cls, "TYPE", "MCQ")),
        "family": family.value,
        "url": _of_table(cls, "DATASET_URL", name),
        "md5": _of_table(cls, "DATASET_MD5", name),
        "answers": name not in _INFER_ONLY,
        "judge": judge.value,
        "state": state.value,
    }
    if reason or cure:
        row |= {"reason": reason, "cure": cure}
    if name not in documented():
        row |= {"documented": False}
    if name in _RENAMED:
        row |= {"renamed": _RENAMED[name]}
    if family is Family.MCQ_CONCAT:
        row |= {"members": list(cls.DATASET_SETS[name])}
    return row


def _of_table(cls: Any, table: str, name: str) -> str:
    found = getattr(cls, table, None)
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, str) else ""


def _family(name: str, cls: Any) -> Family:
    if getattr(cls, "MODALITY", "IMAGE") == "VIDEO":
        return Family.VIDEO
    if cls.__name__ == "MMDUDataset":
        return Family.MULTI_TURN
    return family_of(name, cls.__name__) or Family.VQA_OWN


def _judge(cls: Any, family: Family) -> JudgeNeed:
    if cls.__name__ in _MANDATORY.split():
        return JudgeNeed.MANDATORY
    if family in {Family.VQA, Family.VQA_OWN, Family.CAPTION}:
        return JudgeNeed.NONE
    return JudgeNeed.OPTIONAL


def _state(name: str, family: Family, judge: JudgeNeed) -> tuple[State, str, str]:
    """What the name can be used for; why no more than that, and what to do about it."""
    if family in _REFUSALS:
        return State.NOT_YET, *_REFUSALS[family]
    if name in _JUDGED_HERE:
        return State.NEEDS_JUDGE, *_JUDGED
    if judge is JudgeNeed.MANDATORY:
        return State.NOT_YET, *_DOCUMENTS
    if name.startswith("VCR_"):
        return State.NOT_YET, _VCR_REASON, _VCR_CURE
    if name in _INFER_ONLY:
        return State.INFER_ONLY, _INFER_ONLY[name], _answered(name)
    return State.SCORES, "", ""


def _answered(name: str) -> str:
    """What has a score in the place of a name without answers; empty: nothing."""
    if name.startswith("MMBench_TEST"):
        sibling = name.replace("_TEST", "_DEV")
        return f"for a score use {sibling}, or a file of your own with every answer filled in"
    endings = {"_TEST": ("_VAL", "_DEV_VAL"), "_ALL": ("_VAL",)}
    for ending, others in endings.items():
        for other in others if ending in name else ():
            if (sibling := name.replace(ending, other)) in documented():
                return f"for a score use {sibling}"
    return ""


def main() -> None:
    """Writes the file."""
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows())
    TARGET.write_text(f"[\n{lines}\n]\n", "utf-8")
    sys.stderr.write(f"{TARGET}: written\n")


if __name__ == "__main__":
    main()
