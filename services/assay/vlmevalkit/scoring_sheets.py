"""Reads and writes xlsx files exactly as pandas does through openpyxl and xlsxwriter, with less ado.

Scoring 16,000 rows is four round trips through xlsx and little else. All functions take the short way
where a cell is a plain text or number, and the libraries' own way for everything else; tests compare
them with the libraries, byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pandas as pd
from openpyxl.cell.text import Text
from openpyxl.xml.functions import iterparse
from pandas.io.formats.excel import ExcelFormatter  # type: ignore[import-not-found]

_LONGEST_TEXT = 32_767
"""Characters of a cell; longer ones are cut, with a warning, by the libraries."""

_SHEET = re.compile(r"<sheetData>(.*)</sheetData>", re.DOTALL)
_CELL = re.compile(r'<c r="([A-Z]+)\d+"((?: s="\d+")? t="s")?><v>([^<]+)</v></c>')
_ROW = re.compile(rf'<row r="(\d+)" spans="[\d:]+">((?:{_CELL.pattern})*)</row>')
"""A row as xlsxwriter writes texts, and numbers without a format: no dates, formulas or flags."""

Grid = list[list[Any]]


def read_string_table(source: Any) -> list[str]:
    """Stands for `openpyxl.reader.strings.read_string_table`: the texts of a workbook."""
    strings = []
    for _, node in iterparse(source):
        if not node.tag.endswith("}si"):
            continue
        if len(node) == 1 and node[0].tag.endswith("}t") and not len(node[0]):
            text = node[0].text or ""
        else:
            text = Text.from_tree(node).content
        strings.append(text.replace("x005F_", ""))
        node.clear()
    return strings


def read_sheet(
    otherwise: Callable[[Any, Any, int | None], Grid],
) -> Callable[[Any, Any, int | None], Grid]:
    """Stands for pandas' `OpenpyxlReader.get_sheet_data`, which is `otherwise`."""

    def get_sheet_data(
        self: Any, sheet: Any, file_rows_needed: int | None = None
    ) -> Grid:
        grid = None if file_rows_needed is not None else _plain_grid(sheet)
        return otherwise(self, sheet, file_rows_needed) if grid is None else grid

    return get_sheet_data


def _plain_grid(sheet: Any) -> Grid | None:
    """The cells of a sheet of nothing but texts and numbers; None: it has more than that."""
    with sheet._get_source() as source:  # noqa: SLF001 - the short way
        found = _SHEET.search(source.read().decode())
    if found is None:
        return None
    strings, places = sheet._shared_strings, _Places()  # noqa: SLF001
    grid: Grid = []
    at, end = found.span(1)
    while at < end:
        row = _ROW.match(found.string, at, end)
        if row is None:
            return None
        at = row.end()
        # A row without cells is not in the file.
        grid.extend([] for _ in range(int(row[1]) - len(grid) - 1))
        grid.append(_plain_row(row[2], strings, places))
    while grid and not grid[-1]:
        grid.pop()
    width = max(map(len, grid), default=0)
    return [row + [""] * (width - len(row)) for row in grid]


def _plain_row(text: str, strings: list[str], places: _Places) -> list[Any]:
    row: list[Any] = []
    for letters, shared, value in _CELL.findall(text):
        row.extend([""] * (places[letters] - len(row)))
        row.append(strings[int(value)] if shared else _number(value))
    while row and row[-1] == "":
        row.pop()
    return row


def _number(text: str) -> int | float:
    if "." not in text and "E" not in text and "e" not in text:
        return int(text)
    value = float(text)
    return int(value) if int(value) == value else value


class _Places(dict[str, int]):
    """From a column's letters to its place, from 0."""

    def __missing__(self, letters: str) -> int:
        place = 0
        for letter in letters:
            place = 26 * place + ord(letter) - ord("A") + 1
        self[letters] = place - 1
        return place - 1


def write_table(table: Any, path: str, otherwise: Callable[[], Any]) -> Any:
    """Stands for `table.to_excel(path, index=False, engine="xlsxwriter")`.

    `otherwise` does just that; it is called where a table has more than texts, numbers and gaps.
    """
    if not _is_plain(table):
        return otherwise()
    formatter = ExcelFormatter(table, index=False)
    try:
        with pd.ExcelWriter(path, engine="xlsxwriter") as writer:
            sheet = writer.book.add_worksheet("Sheet1")
            for place, name in enumerate(table.columns):
                sheet.write(0, place, name, None)
            for place in range(table.shape[1]):
                _write_column(sheet, place, table.iloc[:, place], formatter, writer)
    except (TypeError, ValueError, OSError):
        return (
            otherwise()
        )  # upstream has its own answer to a table that cannot be written
    return None


def _is_plain(table: Any) -> bool:
    return (
        isinstance(table, pd.DataFrame)
        and not isinstance(table.columns, pd.MultiIndex)
        and all(type(name) is str for name in table.columns)
        and 0 < len(table) < 2**20
        and 0 < table.shape[1] < 2**14
        and all(
            dtype.kind in "iufb" or dtype == "str" or _holds_plain(table.iloc[:, place])
            for place, dtype in enumerate(table.dtypes)
        )
    )


def _holds_plain(column: Any) -> bool:
    return column.dtype == object and {type(cell) for cell in column} <= {
        str,
        int,
        float,
        bool,
    }


def _write_column(
    sheet: Any, place: int, column: Any, formatter: Any, writer: Any
) -> None:
    write_text, write_any = sheet._write_string, sheet._write  # noqa: SLF001 - the short way
    for row, cell in enumerate(column, 1):
        if (
            type(cell) is str
            and 0 < len(cell) <= _LONGEST_TEXT
            and cell[0] not in "={"
            and ":" not in cell
        ):
            write_text(row, place, cell, None)
        else:
            value, _ = writer._value_with_fmt(formatter._format_value(cell))  # noqa: SLF001
            write_any(row, place, value, None)
