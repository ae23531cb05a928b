"""Which rows of a table belong together: the rotations of a question, the questions about a picture.

Called by the passes, to see which rows an unscored one takes with it, and by the figures, to know over
which rows they are. Tables are `dataset.data` or what upstream read back from its prediction file.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

ROTATION_STEP = 1_000_000
"""Upstream numbers the rotations of question n: n, n + 1,000,000, n + 2,000,000, ..."""


def rotations(table: Any) -> list[list[int]]:
    """The rows of each question that is asked with its options rotated, within each member."""
    return _grouped(zip(_members(table), _questions(table), strict=True))


def unrotated(table: Any) -> list[int]:
    """The first rotation of each question: the rows that upstream's figures count."""
    own = [int(index) for index in table[_index_column(table)]]
    questions = _questions(table)
    return [
        row
        for row, (index, question) in enumerate(zip(own, questions, strict=True))
        if index == question
    ]


def mme_pairs(table: Any) -> list[list[int]]:
    """MME asks two questions about each picture and scores them together."""
    return _grouped(
        zip(table["category"].map(str), table["image_path"].map(str), strict=True)
    )


def lacking_pairs(table: Any, rows: Sequence[int]) -> str:
    """Why MME's figures cannot be made of `rows`: pictures of which only one question is there."""
    there = set(rows)
    single = sum(len(there & set(group)) == 1 for group in mme_pairs(table))
    if not single:
        return ""
    return (
        "MME scores the two questions about a picture together, and of"
        f" {single} picture(s) only one is in the table (choose an even `limit`, or none)"
    )


def lacking_tasks(table: Any, rows: Sequence[int]) -> str:
    """Why MMT-Bench's figures cannot be made of `rows`: kinds of task without any."""
    from vlmeval.dataset.utils.multiple_choice import MMT_abbrs  # noqa: PLC0415

    columns = {str(name).lower(): name for name in table.columns}
    if "l2-category" not in columns:
        return ""
    cells = list(table[columns["l2-category"]])
    there = {str(cells[row]) for row in rows}
    missing = [kind for kind in MMT_abbrs if kind not in there]
    if not missing:
        return ""
    return (
        f"upstream makes its table of MMT-Bench for {len(MMT_abbrs)} kinds of task, and of"
        f" {len(missing)} no row is scored: {', '.join(missing)}"
        " (run it without `limit`; retry what failed)"
    )


def _grouped(keys: Iterable[Hashable]) -> list[list[int]]:
    groups: dict[Hashable, list[int]] = {}
    for row, key in enumerate(keys):
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def _index_column(table: Any) -> str:
    # A collection numbers its rows anew and keeps its members' numbers beside.
    return "original_index" if "original_index" in table else "index"


def _members(table: Any) -> list[str]:
    if "SUB_DATASET" in table:
        return [str(name) for name in table["SUB_DATASET"]]
    return [""] * len(table)


def _questions(table: Any) -> list[int]:
    if "g_index" in table:
        return [int(number) for number in table["g_index"]]
    return [int(index) % ROTATION_STEP for index in table[_index_column(table)]]
