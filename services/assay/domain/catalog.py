"""The 89 dataset names that EvalScope documents for VLMEvalKit, and what each can be used for here.

The config room asks it at admission, the dataset service for addresses, the command line for its list.
The rows are in `catalog.json`, written by `python -m assay.vlmevalkit.catalog` from upstream's own
tables, so that nobody needs to import `vlmeval` to read them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources


class Family(StrEnum):
    """How upstream prompts for and scores a dataset."""

    MCQ = "mcq"
    MCQ_CIRCULAR = "mcq_circular"
    MCQ_CONCAT = "mcq_concat"
    MCQ_MMT = "mcq_mmt"
    MCQ_MMMU = "mcq_mmmu"
    YES_NO = "yes_no"
    VQA = "vqa"
    VQA_OWN = "vqa_own"
    CAPTION = "caption"
    MULTI_TURN = "multi_turn"
    VIDEO = "video"


class JudgeNeed(StrEnum):
    """Whether a judge model decides anything in upstream's scorer of a dataset."""

    NONE = "none"
    OPTIONAL = "optional"
    MANDATORY = "mandatory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One documented name.

    Attributes:
        cls: upstream's dataset class; empty: upstream knows no such name.
        type: upstream's TYPE (`MCQ`, `Y/N`, `VQA`, ...).
        url: upstream's address of the TSV; empty: it has none (assembled, or no TSV).
        md5: upstream's digest of it; empty: upstream checks none.
        answers: whether the file holds the expected answers.
        refusal: why the name cannot be evaluated yet, for the user; empty: it can.
        cure: what the user can do about the refusal; empty: it can be evaluated.
    """

    name: str
    cls: str
    type: str
    family: Family
    url: str
    md5: str
    answers: bool
    judge: JudgeNeed
    refusal: str = ""
    cure: str = ""

    @property
    def supported(self) -> bool:
        """Whether the name can be evaluated and scored now."""
        return not self.refusal


@cache
def _entries() -> dict[str, Entry]:
    text = resources.files(__package__).joinpath("catalog.json").read_text("utf-8")
    return {row["name"]: _entry(row) for row in json.loads(text)}


def _entry(row: dict[str, str | bool]) -> Entry:
    given = {key: str(value) for key, value in row.items() if key != "answers"}
    return Entry(
        name=given["name"],
        cls=given["cls"],
        type=given["type"],
        family=Family(given["family"]),
        url=given["url"],
        md5=given["md5"],
        answers=bool(row["answers"]),
        judge=JudgeNeed(given["judge"]),
        refusal=given.get("refusal", ""),
        cure=given.get("cure", ""),
    )


def lookup(name: str) -> Entry | None:
    """The entry of a documented name, matched exactly as upstream does; None: not a documented name."""
    return _entries().get(name)


def names() -> tuple[str, ...]:
    """All documented names, sorted."""
    return tuple(sorted(_entries()))
