"""Reads and writes xlsx files exactly as pandas does through openpyxl and xlsxwriter, with less ado.

Scoring 16,000 rows is four round trips through xlsx and little else. Both functions take the short way
where a cell is a plain text or number, and the libraries' own way for everything else; tests compare
them with the libraries, byte by byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
from openpyxl.cell.text import Text
from openpyxl.xml.functions import iterparse
from pandas.io.formats.excel import ExcelFormatter  # type: ignore[import-not-found]

_LONGEST_TEXT = 32_767
"""Characters of a cell; longer ones are cut, with a warning, by the libraries."""


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
