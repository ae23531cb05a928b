"""Upstream's scores as metrics: one per split and column, with scale, count of samples and bounds.

Called by the scoring passes, with both passes' scores. What a figure is over (its rows) comes from the
prediction table as upstream read it back, whose cells name splits and categories in its own spelling.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assay.domain.errors import ScorerError
from assay.domain.score import Metric
from assay.vlmevalkit.families import (
    CAPTION,
    CHOICES,
    LLAVA_BENCH,
    MATH_VISION,
    MATH_VISTA,
    MM_VET,
    MME,
    MMT,
    MTVQA,
    OCR_BENCH,
    VQA,
    YES_NO,
    Family,
)
from assay.vlmevalkit.families_tables import (
    MME_SUMS,
    WHOLE,
    Table,
    is_task_average,
)

_GROUPED = {"fAcc": "HallusionBench", "qAcc": "HallusionBench"}
"""Figures that need every row of a figure or question, so only complete splits have them."""

_SOME_MEANS = {
    YES_NO: ("aAcc", "acc"),
    CAPTION: ("ROUGE_L",),
    MATH_VISTA: ("acc",),
    MATH_VISION: ("acc",),
    MM_VET: ("acc",),
}
"""Families some of whose figures are plain means of per-sample scores, and these."""

_CAPTION_TOPS = {"CIDEr": 1000.0}
"""CIDEr is ten times a mean of likenesses, and upstream gives it in hundredths as well."""

_NOT_A_NUMBER = "no sample of the table is in it"

_LABELS = ("split", "Task&Skill", "Subject", "Category", "set")
"""Columns of upstream's tables that say what a line is about."""

_COUNTS = ("tot", "hit", "prefetch")
"""Columns that count rows."""

_RELATIVE_TOP = 1000.0
"""LLaVABench's relative score, were the model rated ten and the reference one."""

Key = tuple[str, str, str]
"""Member of a collection (else empty), split, name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What is known of the whole table's rows.

    Attributes:
        tables: by member; the one of a dataset that is no collection is named by the empty string.
        unscored: rows without a verdict.
        scores: what each scored row of `tables` counts in a mean, where the family has such.
        fault: what keeps upstream itself from printing figures of the whole table; empty: nothing does.
    """

    tables: Mapping[str, Table]
    unscored: Collection[int]
    scores: Mapping[int, float] = field(default_factory=dict)
    fault: str = ""


def values_of(dataset: str, scores: Any, members: Mapping[str, Any]) -> dict[Key, Any]:
    """Upstream's numbers, one by one: from its table, its dictionary, or those of a collection's members.

    Raises:
        ScorerError: they are something else.
    """
    if members:
        found: dict[Key, Any] = {}
        for member, table in members.items():
            # A member of which no row is in the table has no figures but this one, and that is empty.
            own = _of_table(member, table) or {(member, "none", "Overall"): math.nan}
            found |= own
        return found
    if isinstance(scores, dict):
        return _of_mapping(scores)
    if not hasattr(scores, "columns"):
        raise ScorerError(
            f"upstream's score of {dataset} is no table: {type(scores).__name__}"
        )
    return _of_table("", scores)


def _of_table(member: str, scores: Any) -> dict[Key, Any]:
    found: dict[Key, Any] = {}
    for record in scores.to_dict("records"):
        label = next((name for name in _LABELS if name in record), "split")
        split = str(record.pop(label, "none"))
        found |= {(member, split, str(name)): cell for name, cell in record.items()}
    return found


def _of_mapping(scores: Mapping[str, Any]) -> dict[Key, Any]:
    found: dict[Key, Any] = {}
    for name, value in scores.items():
        if isinstance(value, Sequence) and not isinstance(value, str):
            # BLEU comes as a list: for sequences of one word, of two, ...
            parts = {f"{name}_{place}": each for place, each in enumerate(value, 1)}
        else:
            parts = {str(name): value}
        found |= {("", "none", part): each for part, each in parts.items()}
    return found


def figures(
    family: Family,
    dataset: str,
    whole: Mapping[Key, Any] | None,
    rest: Mapping[Key, Any],
    rows: Rows,
) -> list[Metric]:
    """The metrics of a task. In a collection `split` is the member, and `member:split` where it has one.

    A count's highest value is the count of samples it is over, and where upstream counts all rotations of
    a question as one, so does `n`.
    `whole` are the numbers over every row, failure texts scored like answers (None: there are none);
    `rest` those over the scored rows alone, and the same where every row is.
    """
    shape = rest if whole is None else whole
    emptied = {key for key in shape if key not in rest}
    found = []
    for key in shape:
        spoilt = (
            key in emptied
            or _group_is_open(dataset, key, rows)
            or (family is MME and _sum_lacks(key, emptied))
            or (family is MMT and _task_is_empty(key, rows))
        )
        value = None if spoilt else _number(rest[key])
        told = whole.get(key) if whole is not None and not rows.fault else None
        upstream = _number(told)
        found.append(_figure(family, dataset, key, (value, upstream), rows))
    # Upstream takes splits out of a set: their order means nothing, so it is made the same every time.
    return sorted(found, key=lambda figure: (figure.split not in WHOLE, figure.split))


def _figure(
    family: Family,
    dataset: str,
    key: Key,
    values: tuple[float | None, float | None],
    rows: Rows,
) -> Metric:
    member, split, name = key
    value, upstream = values
    over = rows.tables[member].rows(family, split, name)
    scored = [row for row in over if row not in rows.unscored]
    n = len(set(scored))
    if not scored:
        value = None
    if not over:
        upstream = None
    return Metric(
        name=name,
        split=_split(member, split),
        value=value,
        scale=_scale(family, dataset, name, n),
        n=n,
        bounds=_bounds(family, key, value, over, rows),
        upstream_value=upstream,
        upstream_reason="" if upstream is not None else rows.fault or _NOT_A_NUMBER,
    )


def _split(member: str, split: str) -> str:
    if not member:
        return split
    return member if split == "none" else f"{member}:{split}"


def _bounds(
    family: Family, key: Key, value: float | None, over: Sequence[int], rows: Rows
) -> tuple[float, float] | None:
    """The mean with every unscored row wrong and with every one right; None: it is no plain mean."""
    top = 1.0 if family in CHOICES else 100.0
    if not over or not _is_mean(family, key, rows):
        return None
    scored = [rows.scores[row] for row in over if row not in rows.unscored]
    gaps = len(over) - len(scored)
    total = math.fsum(scored)
    if value is not None:
        if not math.isclose(top * total / len(scored), value, rel_tol=1e-9):
            return None  # upstream weighs these rows otherwise, so nothing is said about it
        if not gaps:
            return (value, value)
    return (top * total / len(over), top * (total + gaps) / len(over))


def _is_mean(family: Family, key: Key, rows: Rows) -> bool:
    member, _, name = key
    if family is MMT:
        return not is_task_average(rows.tables[member], name)
    if family in _SOME_MEANS:
        return name in _SOME_MEANS[family]
    return family in CHOICES or family in {VQA, MTVQA}


def _group_is_open(dataset: str, key: Key, rows: Rows) -> bool:
    member, split, name = key
    word = _GROUPED.get(name)
    if word is None or word not in dataset:
        return False
    return any(row in rows.unscored for row in rows.tables[member].of_group(split))


def _sum_lacks(key: Key, emptied: Collection[Key]) -> bool:
    name = key[2]
    gone = {each[2] for each in emptied}
    return name in MME_SUMS and bool(gone & set(MME_SUMS[name][1]))


def _task_is_empty(key: Key, rows: Rows) -> bool:
    """Whether a task that MMT-Bench averages into this figure has lost all its rows."""
    member, _, name = key
    table = rows.tables[member]
    if not is_task_average(table, name):
        return False
    return any(
        all(row in rows.unscored for row in task) for task in table.tasks_of(name)
    )


def _number(value: Any) -> float | None:
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _scale(family: Family, dataset: str, name: str, n: int) -> tuple[float, float]:
    return (0.0, _top(family, dataset, name, n))


def _top(family: Family, dataset: str, name: str, n: int) -> float:
    if family in CHOICES or ("VSR" in dataset and name == "f1_score"):
        return 1.0
    if family is MME:
        return MME_SUMS[name][0] if name in MME_SUMS else 200.0
    if family is OCR_BENCH:
        # Upstream's hundred is a thousand rows, however many there are.
        return n / 10 if name == "Final Score Norm" else float(n)
    if family is CAPTION:
        return _CAPTION_TOPS.get(name, 100.0)
    if name in _COUNTS:
        return float(n)
    relative = family is LLAVA_BENCH and name.startswith("Relative")
    return _RELATIVE_TOP if relative else 100.0
