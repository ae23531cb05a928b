"""Family by family: where upstream leaves a row's verdict, and which rows stand or fall together.

Called by the scoring passes only. A family is recognised by the upstream function that scores it, so a
dataset whose class brings its own scorer is never mistaken for a plain one. Its figures are read in
`families_metrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from assay.domain.errors import ScorerError
from assay.vlmevalkit import families_judged, families_rows, families_verdicts
from assay.vlmevalkit.families_verdicts import Verdicts
from assay.vlmevalkit.scoring_recorder import Recorder


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How one family's verdicts are read.

    Attributes:
        name: for messages and provenance.
        verdicts: (notes of a pass, prediction file, dataset) -> verdict by row; rows without one are
            missing.
        groups: table -> groups of rows of which upstream's figure needs all.
        lacking: (table, rows) -> why upstream cannot make its figures of these rows alone; empty: it can.
        judge: whether nothing but a judge model can score it.
    """

    name: str
    verdicts: Callable[[Recorder, str, Any], Verdicts]
    groups: Callable[[Any], list[list[int]]] | None = None
    lacking: Callable[[Any, list[int]], str] = lambda _table, _rows: ""
    judge: bool = False


MULTIPLE_CHOICE = Family(
    name="multiple choice", verdicts=families_verdicts.multiple_choice
)
MMMU = Family(
    name="multiple choice and open questions", verdicts=families_verdicts.mmmu
)
MMT = Family(
    name="multiple choice, averaged over tasks",
    verdicts=families_verdicts.multiple_choice,
    lacking=families_rows.lacking_tasks,
)
CIRCULAR = Family(
    name="multiple choice in rotations",
    verdicts=families_verdicts.multiple_choice,
    groups=families_rows.rotations,
)
YES_NO = Family(name="yes/no", verdicts=families_verdicts.yes_no)
MME = Family(
    name="yes/no in pairs",
    verdicts=families_verdicts.yes_no,
    groups=families_rows.mme_pairs,
    lacking=families_rows.lacking_pairs,
)
VQA = Family(name="visual question answering", verdicts=families_verdicts.vqa)
OCR_BENCH = Family(name="OCRBench", verdicts=families_verdicts.ocr_bench)
MTVQA = Family(name="MTVQA", verdicts=families_verdicts.mtvqa)
CAPTION = Family(name="captions", verdicts=families_verdicts.caption)
MATH_VISTA = Family(name="MathVista", verdicts=families_judged.extracted, judge=True)
MATH_VISION = Family(name="MathVision", verdicts=families_judged.extracted, judge=True)
MM_VET = Family(
    name="MMVet",
    verdicts=families_judged.graded,
    lacking=families_judged.lacking_capabilities,
    judge=True,
)
LLAVA_BENCH = Family(name="LLaVABench", verdicts=families_judged.rated, judge=True)
MMDU = Family(name="MMDU", verdicts=families_judged.conversations, judge=True)

CHOICES = frozenset({MULTIPLE_CHOICE, MMMU, MMT, CIRCULAR})
"""The families whose figures are shares of right choices, between 0 and 1."""

_CIRCULAR_WORDS = ("mmbench", "ccbench", "circular", "mmcr")
"""How upstream tells, from a dataset's name, that its questions come in rotations."""

_OWN_SCORERS: Mapping[str, Family] = {
    "GMAIMMBenchDataset": MULTIPLE_CHOICE,
    "OCRBench": OCR_BENCH,
    "MTVQADataset": MTVQA,
    "ImageCaptionDataset": CAPTION,
    "MathVista": MATH_VISTA,
    "MathVision": MATH_VISION,
    "MMVet": MM_VET,
    "LLaVABench": LLAVA_BENCH,
    "MMDUDataset": MMDU,
}
"""Classes with an `evaluate()` of their own that is read here."""

NOT_SCORED_UPSTREAM: Mapping[str, str] = {
    "CustomVQADataset": "upstream has no scorer for a custom dataset without options A and B",
}


def family_of(dataset: Any) -> Family:
    """The family of a built dataset.

    Raises:
        ScorerError: its scorer is not among those this version runs.
    """
    cls, name = type(dataset), dataset.dataset_name
    if cls.__name__ in NOT_SCORED_UPSTREAM:
        raise ScorerError(
            f"{name} cannot be scored: {NOT_SCORED_UPSTREAM[cls.__name__]}",
            cure="give it options, or use the name of an official VQA dataset",
        )
    found = _collection(dataset) or _OWN_SCORERS.get(cls.__name__) or _shared(cls, name)
    if found is None:
        raise ScorerError(
            f"{name} cannot be scored yet: {cls.__name__} has a scorer of its own"
        )
    return found


def _collection(dataset: Any) -> Family | None:
    """The family of a collection is its members', who all have the same."""
    members = getattr(dataset, "dataset_map", None)
    if not isinstance(members, dict):
        return None
    families = {member.dataset_name: family_of(member) for member in members.values()}
    distinct = list(dict.fromkeys(families.values()))
    return distinct[0] if len(distinct) == 1 and distinct[0] in CHOICES else None


def _shared(cls: Any, name: str) -> Family | None:
    """The family of a class that inherits its scorer."""
    from vlmeval.dataset.image_mcq import ImageMCQDataset  # noqa: PLC0415
    from vlmeval.dataset.image_vqa import ImageVQADataset  # noqa: PLC0415
    from vlmeval.dataset.image_yorn import ImageYORNDataset  # noqa: PLC0415

    if _inherits(cls, ImageMCQDataset):
        return _choice(name)
    if cls.evaluate is ImageYORNDataset.evaluate:
        return MME if "MME" in name else YES_NO
    return VQA if _inherits(cls, ImageVQADataset) else None


def _choice(name: str) -> Family | None:
    """Upstream tells the kinds of multiple choice apart by the dataset's name."""
    if name == "MMVP" or "MMSci" in name:
        return None  # averaged in ways of their own, which are not read here
    if any(word in name.lower() for word in _CIRCULAR_WORDS):
        return CIRCULAR
    if "MMT" in name:
        return MMT
    return MMMU if "MMMU" in name else MULTIPLE_CHOICE


def _inherits(cls: Any, base: Any) -> bool:
    return (
        issubclass(cls, base)
        and cls.evaluate is base.evaluate
        and cls.evaluate_heuristic is base.evaluate_heuristic
    )
