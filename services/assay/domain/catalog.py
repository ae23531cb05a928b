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
from typing import Any

_TYPED = frozenset({"family", "judge", "state", "members"})
"""Cells of a row that are more than text and flags."""


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


class State(StrEnum):
    """What a documented name can be used for here."""

    SCORES = "scores"
    INFER_ONLY = "infer-only"
    NEEDS_JUDGE = "needs judge"
    NOT_YET = "not yet"


class JudgeNeed(StrEnum):
    """Whether a judge model decides anything in upstream's scorer of a dataset."""

    NONE = "none"
    OPTIONAL = "optional"
    MANDATORY = "mandatory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One name.

    Attributes:
        cls: upstream's dataset class; empty: upstream knows no such name.
        type: upstream's TYPE (`MCQ`, `Y/N`, `VQA`, ...).
        url: upstream's address of the TSV; empty: it has none (assembled, or no TSV).
        md5: upstream's digest of it; empty: upstream checks none.
        answers: whether upstream's file holds the expected answers.
        state: what it can be used for.
        reason: why it is not simply scored, for the user; empty: it is.
        cure: what the user can do about that; empty: nothing needs to be done.
        documented: one of EvalScope's 89 names; the others are what those were renamed to.
        renamed: upstream's present name for it; empty: the same.
        members: the datasets it collects, in upstream's order; empty: it is one dataset.
    """

    name: str
    cls: str
    type: str
    family: Family
    url: str
    md5: str
    answers: bool
    judge: JudgeNeed
    state: State
    reason: str = ""
    cure: str = ""
    documented: bool = True
    renamed: str = ""
    members: tuple[str, ...] = ()

    @property
    def supported(self) -> bool:
        """Whether a run may name it: it is scored, if need be by a judge model, or at least asked."""
        return self.state is not State.NOT_YET


@cache
def _entries() -> dict[str, Entry]:
    text = resources.files(__package__).joinpath("catalog.json").read_text("utf-8")
    return {row["name"]: _entry(row) for row in json.loads(text)}


def _entry(row: dict[str, Any]) -> Entry:
    return Entry(
        **{key: value for key, value in row.items() if key not in _TYPED},
        family=Family(row["family"]),
        judge=JudgeNeed(row["judge"]),
        state=State(row["state"]),
        members=tuple(row.get("members", ())),
    )


def lookup(name: str) -> Entry | None:
    """The entry of a name, matched exactly as upstream does; None: neither documented nor a new name."""
    return _entries().get(name)


def names() -> tuple[str, ...]:
    """All documented names, sorted."""
    return tuple(sorted(e.name for e in _entries().values() if e.documented))
