"""Which class of VLMEvalKit's takes a table, how that class scores it, and what the table must have.

`prepare.py` asks before anything is built, so that a table upstream would break on is refused in
seconds; `catalog.py` asks for the families of the documented names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.domain import catalog
from assay.domain.catalog import Family
from assay.domain.errors import DatasetError

_FAMILIES: Mapping[str, Family] = {
    "ConcatDataset": Family.MCQ_CONCAT,
    "CustomMCQDataset": Family.MCQ,
    "GMAIMMBenchDataset": Family.MCQ,
    "ImageCaptionDataset": Family.CAPTION,
    "ImageMCQDataset": Family.MCQ,
    "ImageVQADataset": Family.VQA,
    "ImageYORNDataset": Family.YES_NO,
    "LLaVABench": Family.VQA_OWN,
    "MMVet": Family.VQA_OWN,
    "MMDUDataset": Family.MULTI_TURN,
    "MMMUDataset": Family.MCQ_MMMU,
    "MTVQADataset": Family.VQA_OWN,
    "MathVision": Family.VQA_OWN,
    "MathVista": Family.VQA_OWN,
    "OCRBench": Family.VQA_OWN,
}
_NAMED_OTHERWISE = frozenset({"ImageMCQDataset", "CustomMCQDataset"})
"""Classes whose scorer looks at the dataset's name."""

_CIRCULAR_WORDS = ("mmbench", "ccbench", "circular", "mmcr")
_UNKNOWN_MEANS = ("MMSci", "MMVP")

_NEEDED_BY_NAME: Mapping[str, tuple[str, ...]] = {
    "GMAI-MMBench_VAL": (
        "clinical vqa task",
        "department",
        "perceptual granularity",
    ),
    "HallusionBench": ("l2-category",),
    "MME": ("category", "image_path"),
    "LLaVABench": ("caption", "category", "gpt4_ans"),
    "MMMU_TEST": ("A", "id"),
    "MMVet": ("category",),
    "MTVQA_TEST": ("category",),
    "MathVision": ("category", "choices"),
    "MathVision_MINI": ("category", "choices"),
    "MathVista_MINI": (
        *("answer_option", "answer_type", "choices"),
        *("question_type", "skills", "task"),
    ),
    "OCRBench": ("category",),
    "POPE": ("category",),
}


@dataclass(frozen=True, slots=True)
class ChosenClass:
    """Upstream's class for a dataset, and our word for how it is scored."""

    name: str
    type: str
    family: Family


def family_of(name: str, cls: str) -> Family | None:
    """How upstream scores a dataset of this name and class; None: in a way that is not known here."""
    family = _FAMILIES.get(cls)
    if cls not in _NAMED_OTHERWISE:
        return family
    if any(word in name.lower() for word in _CIRCULAR_WORDS):
        return Family.MCQ_CIRCULAR
    return Family.MCQ_MMT if "MMT" in name else family


def members_of(name: str) -> tuple[str, ...]:
    """The datasets that upstream puts together under this name; the name alone: it is one dataset."""
    from vlmeval import dataset as upstream  # noqa: PLC0415 - only behind the shim

    return tuple(upstream.ConcatDataset.DATASET_SETS.get(name, (name,)))


def choose_class(name: str, columns: Collection[str]) -> ChosenClass:
    """The class upstream takes for a table with these columns, without building it.

    Raises:
        DatasetError: a column is missing, or the class is not supported yet.
    """
    cls = _class_name(name, columns)
    if cls == "CustomVQADataset":
        raise DatasetError(
            f"{name} is none of VLMEvalKit's names and has no columns `A` and `B`: such a table"
            " has no scorer upstream",
            cure="give it options in columns A, B, ..., or the name of a VLMEvalKit dataset",
        )
    family = family_of(name, cls)
    if family is None:
        raise DatasetError(
            f"{name} needs VLMEvalKit's {cls}, which comes later",
            cure="`assay datasets list` shows what can be used now",
        )
    if family is Family.MCQ and any(word in name for word in _UNKNOWN_MEANS):
        raise DatasetError(
            f"VLMEvalKit averages every dataset with such a name as {name} has in a special way,"
            " which comes later",
            cure="give a dataset of your own a name without MMSci and MMVP in it",
        )
    _check_columns(name, columns, _needed(name, family))
    return ChosenClass(cls, _type_of(cls), family)


def collection_class() -> ChosenClass:
    """The class of a dataset with members."""
    return ChosenClass("ConcatDataset", "MCQ", Family.MCQ_CONCAT)


def has_answers(name: str, data: Any) -> bool:
    """Whether upstream scores `data`, its `dataset.data` of that name, rather than only asking it."""
    entry = catalog.lookup(name)
    if entry is None or entry.answers:
        return True
    # Of all test splits, upstream scores those of MMBench from a file with every answer.
    filled = "answer" in data and not data["answer"].isna().any()
    return name.startswith("MMBench_TEST") and bool(filled)


def _class_name(name: str, columns: Collection[str]) -> str:
    from vlmeval import dataset as upstream  # noqa: PLC0415 - only behind the shim

    for cls in upstream.DATASET_CLASSES:
        if name in cls.supported_datasets():
            return str(cls.__name__)
    return "CustomMCQDataset" if {"A", "B"} <= set(columns) else "CustomVQADataset"


def _type_of(cls: str) -> str:
    from vlmeval import dataset as upstream  # noqa: PLC0415 - only behind the shim

    return str(getattr(upstream, cls).TYPE)


def _needed(name: str, family: Family) -> list[str]:
    """The columns without which upstream fails, here or when it scores."""
    entry = catalog.lookup(name)
    needed = ["index", "image", *_NEEDED_BY_NAME.get(name, ())]
    if family is not Family.CAPTION:
        needed.append("question")
    if name == "LLaVABench" or (entry is not None and not entry.answers):
        # The one's reference answers stand in `gpt4_ans`.
        return needed
    if family is Family.MCQ_MMT:
        needed += ["category", "l2-category"]
    return [*needed, "answer"]


def _check_columns(name: str, columns: Collection[str], needed: Sequence[str]) -> None:
    for column in needed:
        if column in columns:
            continue
        other = next((c for c in columns if c.lower().strip() == column.lower()), None)
        cure = f"add a column `{column}` to the table"
        if other is not None:
            cure = f"write the column `{other}` as `{column}`"
        elif column == "image" and "image_path" in columns:
            cure = "put the pictures into a column `image` as base64; files beside the table come later"
        found = ", ".join(f"`{c[:40]}`" for c in list(columns)[:12])
        raise DatasetError(
            f"{name} has no column `{column}` (found: {found})", cure=cure
        )
