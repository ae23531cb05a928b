"""Which rows of a prediction table a figure of upstream's is over, by its splits and categories.

Called by `families_metrics`, with tables as upstream read them back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from assay.vlmevalkit.families import (
    CHOICES,
    CIRCULAR,
    LLAVA_BENCH,
    MATH_VISION,
    MATH_VISTA,
    MM_VET,
    MMDU,
    MME,
    MMT,
    OCR_BENCH,
    YES_NO,
    Family,
)
from assay.vlmevalkit.families_rows import unrotated

WHOLE = ("Overall", "none", "ALL", "overall", "all", "valid")
"""Splits that are the whole table; `ALL` is MMT-Bench's, the last three LLaVABench's and MMDU's."""

MME_SUMS: Mapping[str, tuple[float, tuple[str, ...]]] = {
    "perception": (
        2000.0,
        (
            "OCR",
            "artwork",
            "celebrity",
            "color",
            "count",
            "existence",
            "landmark",
            "position",
            "posters",
            "scene",
        ),
    ),
    "reasoning": (
        800.0,
        (
            "code_reasoning",
            "commonsense_reasoning",
            "numerical_calculation",
            "text_translation",
        ),
    ),
}
"""MME's two totals: the most they can be, and the categories in them."""

_OCR_SUMS: Mapping[str, tuple[str, ...]] = {
    "Text Recognition": (
        "Regular Text Recognition",
        "Irregular Text Recognition",
        "Artistic Text Recognition",
        "Handwriting Recognition",
        "Digit String Recognition",
        "Non-Semantic Text Recognition",
    )
}
"""OCRBench's total: the categories in it."""

_COLUMNS = ("split", "category", "l2-category")
_OWN_COLUMNS = {MATH_VISTA: ("task", "skills")}
"""What else upstream groups by."""


class Table:
    """The rows of one prediction table, by what its splits and categories say.

    `places` are the rows' numbers in the whole table, where this is a collection's member.
    """

    def __init__(
        self, table: Any, family: Family, places: Sequence[int] | None = None
    ) -> None:
        from vlmeval.dataset.utils import multiple_choice  # noqa: PLC0415

        self._places = range(len(table)) if places is None else places
        short = (
            multiple_choice.MMT_abbrs if family is MMT else multiple_choice.MMB_abbrs
        )
        self._short: Mapping[str, str] = short
        columns = {str(name).lower(): name for name in table.columns}
        self._cells = {
            name: [_words(family, name, cell) for cell in table[columns[name]]]
            for name in (*_COLUMNS, *_OWN_COLUMNS.get(family, ()))
            if name in columns
        }
        counted = unrotated(table) if family is CIRCULAR else range(len(table))
        self._counted = list(counted)

    def rows(self, family: Family, split: str, name: str) -> list[int]:
        """The rows that a figure is over; those it counts more than once come more than once."""
        return [self._places[row] for row in self._rows(family, split, name)]

    def of_group(self, name: str) -> list[int]:
        """The rows whose split, category or l2-category is `name`."""
        return [self._places[row] for row in self._of_group(name)]

    def tasks_of(self, name: str) -> list[list[int]]:
        """The rows of each category in the l2-category that upstream abbreviates to `name`."""
        tasks: dict[str, list[int]] = {}
        categories, kinds = self._cells["category"], self._cells["l2-category"]
        long = self._long(name)
        wanted = {categories[row][0] for row in self._counted if kinds[row][0] in long}
        for row in self._counted:
            if categories[row][0] in wanted:
                tasks.setdefault(categories[row][0], []).append(self._places[row])
        return list(tasks.values())

    @cached_property
    def task_averages(self) -> frozenset[str]:
        """The l2-categories, as upstream abbreviates them."""
        words = {word for cell in self._cells.get("l2-category", ()) for word in cell}
        return frozenset(self._short.get(word, word) for word in words)

    def _rows(self, family: Family, split: str, name: str) -> list[int]:
        if family is MME and name in MME_SUMS:
            return [row for each in MME_SUMS[name][1] for row in self._of_group(each)]
        if family is OCR_BENCH:
            if name.startswith("Final Score"):
                return self._counted
            parts = _OCR_SUMS.get(name, (name,))
            return [row for each in parts for row in self._of_group(each)]
        if family in CHOICES:
            return self._of_choice(family, split, name)
        # A figure over a split's rows, or, in one-row tables, over the rows its column names.
        if split in WHOLE and family not in _BY_SPLIT:
            return self._of_group(name) or self._weighed(family)
        return self._of_group(split)

    def _weighed(self, family: Family) -> list[int]:
        """All rows; POPE's own total counts a row once for each of its categories."""
        if family is not YES_NO or "category" not in self._cells:
            return self._counted
        cells = self._cells["category"]
        return [
            row for row in self._counted for _ in range(max(1, len(cells[row]) - 1))
        ]

    def _of_group(self, name: str) -> list[int]:
        if name in WHOLE:
            return self._counted
        columns = list(self._cells.values())
        return [
            row for row in self._counted if any(name in cells[row] for cells in columns)
        ]

    def _of_choice(self, family: Family, split: str, name: str) -> list[int]:
        splits = self._cells.get("split")
        anywhere = (
            splits is None or split == "none" or (family is MMT and split == "ALL")
        )
        within = [
            row
            for row in self._counted
            if anywhere or (splits is not None and split in splits[row])
        ]
        if name == "Overall":
            return within
        if family is MMT and is_task_average(self, name):
            mine = {row for task in self.tasks_of(name) for row in task}
            return [row for row in within if self._places[row] in mine]
        long = self._long(name)
        # Where a name stands in both columns, upstream's table keeps the second it comes to.
        for column in ("category", "l2-category"):
            cells = self._cells.get(column)
            if cells and any(cells[row][0] in long for row in self._counted):
                return [row for row in within if cells[row][0] in long]
        return []

    def _long(self, name: str) -> set[str]:
        return {name, *(full for full, short in self._short.items() if short == name)}


def is_task_average(table: Table, name: str) -> bool:
    """Whether MMT-Bench's figure `name` averages the averages of tasks."""
    return name in table.task_averages


_BY_SPLIT = frozenset({MATH_VISTA, MATH_VISION, MM_VET, LLAVA_BENCH, MMDU})
"""Families whose tables have a line for each group."""


def _words(family: Family, column: str, cell: Any) -> list[str]:
    text = str(cell)
    if column == "skills":
        # A list as text; upstream evaluates it.
        return re.findall(r"[^\[\]'\",]+", text.replace("', '", "','"))
    if column == "category" and family is MM_VET:
        return text.split(",")
    if column != "category" or family is not YES_NO:
        return [text]
    # POPE writes several categories into one cell.
    return [text, *text.split(",")]
