"""Family by family: where upstream leaves a row's verdict, which rows stand or fall together, what scale.

Called by the scoring passes only. A family is recognised by the upstream function that scores it, so a
dataset whose class brings its own scorer is never mistaken for a plain one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from assay.domain.errors import ScorerError
from assay.vlmevalkit.scoring_recorder import Recorder


@dataclass(frozen=True, slots=True)
class RowVerdict:
    """Upstream's decision for one row: its score, and what it read out of the prediction."""

    score: float
    extracted: str | None


Verdicts = dict[int, RowVerdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How one family's verdicts are read.

    Attributes:
        name: for messages and provenance.
        verdicts: (notes of a pass, prediction file) -> verdict by row; rows without one are missing.
        pairs: (table, rows) -> groups of rows of which upstream's figure needs all.
    """

    name: str
    verdicts: Callable[[Recorder, str], Verdicts]
    pairs: Callable[[Any], list[list[int]]] | None = None


def _multiple_choice(recorder: Recorder, _path: str) -> Verdicts:
    found = {}
    for row, result in recorder.results.items():
        option = recorder.options.get(row)
        # Upstream's word for "no option was read" is the letter Z.
        extracted = None if option in {None, "Z"} else option
        found[row] = RowVerdict(float(result["hit"]), extracted)
    return found


def _yes_no(recorder: Recorder, path: str) -> Verdicts:
    judged = recorder.last_frame("_auxmatch.xlsx")
    read = recorder.first_frame(path)
    if judged is None or read is None or "score" not in judged:
        return {}
    found = {}
    for row, (score, extracted) in enumerate(
        zip(judged["score"], judged["extracted"], strict=True)
    ):
        if row not in recorder.skipped:
            word = None if extracted == "Unknown" else str(extracted)
            found[row] = RowVerdict(float(bool(score)), word)
    return found


def _vqa(recorder: Recorder, _path: str) -> Verdicts:
    if recorder.hits is None:
        return {}
    return {
        row: RowVerdict(recorder.hits[row], str(result["pred"]))
        for row, result in recorder.results.items()
        if math.isfinite(recorder.hits[row])
    }


def _mme_pairs(table: Any) -> list[list[int]]:
    """MME asks two questions about each picture and scores them together."""
    groups: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(
        zip(table["category"].map(str), table["image_path"].map(str), strict=True)
    ):
        groups.setdefault(key, []).append(row)
    return list(groups.values())


MULTIPLE_CHOICE = Family(name="multiple choice", verdicts=_multiple_choice)
YES_NO = Family(name="yes/no", verdicts=_yes_no)
MME = Family(name="yes/no in pairs", verdicts=_yes_no, pairs=_mme_pairs)
VQA = Family(name="visual question answering", verdicts=_vqa)

_CIRCULAR = ("mmbench", "ccbench", "circular", "mmcr")
NOT_SCORED_UPSTREAM: Mapping[str, str] = {
    "CustomVQADataset": "upstream has no scorer for a custom dataset without options A and B",
}


def family_of(dataset: Any) -> Family:
    """The family of a built dataset.

    Raises:
        ScorerError: its scorer is not among those this version runs.
    """
    from vlmeval.dataset.image_mcq import ImageMCQDataset  # noqa: PLC0415
    from vlmeval.dataset.image_vqa import ImageVQADataset  # noqa: PLC0415
    from vlmeval.dataset.image_yorn import ImageYORNDataset  # noqa: PLC0415

    cls, name = type(dataset), dataset.dataset_name
    if cls.__name__ in NOT_SCORED_UPSTREAM:
        raise ScorerError(
            f"{name} cannot be scored: {NOT_SCORED_UPSTREAM[cls.__name__]}",
            cure="give it options, or use the name of an official VQA dataset",
        )
    circular = any(word in name.lower() for word in _CIRCULAR)
    if issubclass(cls, ImageMCQDataset) and not circular:
        heuristic = ImageMCQDataset.evaluate_heuristic
        own = cls.evaluate is not ImageMCQDataset.evaluate
        if not own and cls.evaluate_heuristic is heuristic:
            return MULTIPLE_CHOICE
    if cls.evaluate is ImageYORNDataset.evaluate:
        return MME if "MME" in name else YES_NO
    if cls.evaluate is ImageVQADataset.evaluate and (
        cls.evaluate_heuristic is ImageVQADataset.evaluate_heuristic
    ):
        return VQA
    raise ScorerError(
        f"{name} cannot be scored yet: {cls.__name__} has a scorer of its own"
    )
