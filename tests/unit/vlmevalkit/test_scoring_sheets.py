"""The short ways of reading and writing xlsx files give what the libraries give."""

from __future__ import annotations

import contextlib
import io
import random
import zipfile

import numpy as np
import pandas as pd
import pytest
from openpyxl.reader.strings import read_string_table as slow_reader
from pandas.io.excel._openpyxl import OpenpyxlReader

from assay.vlmevalkit.scoring_sheets import (
    read_sheet,
    read_string_table,
    write_table,
)
from support.scoring import AWKWARD

CELLS = (
    *AWKWARD,
    *("", " ", "{=A1}", "{x", "mailto:a@b.invalid", "internal:Sheet1!A1", "12:30"),
    *("<b>&amp;</b>", "_x0041_", "tab\there", "\U0001f600" * 20_000, "'", '"q"'),
)


def refuse():
    raise AssertionError("the short way was not taken")


def members(path):
    with zipfile.ZipFile(path) as archive:
        # The one member with a time of day in it is left out.
        return {
            name: archive.read(name)
            for name in archive.namelist()
            if name != "docProps/core.xml"
        }


def table(seed):
    chance = random.Random(seed)
    rows = chance.randint(1, 40)
    texts = [chance.choice(CELLS) for _ in range(rows)]
    return pd.DataFrame(
        {
            "index": range(rows),
            "text": texts,
            "gaps": [chance.choice([None, "x", "=1"]) for _ in range(rows)],
            "number": [chance.choice([1.5, 7, np.nan, np.inf]) for _ in range(rows)],
            "flag": [chance.choice([True, False]) for _ in range(rows)],
            "same": pd.Series(texts, dtype=object),
            "http://example.invalid/": 1,
        }
    )


@pytest.mark.filterwarnings("ignore:Cell contents too long")
@pytest.mark.filterwarnings("ignore:Ignoring URL")
@pytest.mark.parametrize("seed", range(30))
def test_a_table_is_written_as_pandas_writes_it(tmp_path, seed):
    frame = table(seed)
    write_table(frame, str(tmp_path / "ours.xlsx"), refuse)
    frame.to_excel(tmp_path / "theirs.xlsx", index=False, engine="xlsxwriter")
    assert members(tmp_path / "ours.xlsx") == members(tmp_path / "theirs.xlsx")


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"when": pd.to_datetime(["2024-01-01"])}),
        pd.DataFrame({"list": [["a", "b"]]}),
        pd.DataFrame({"kind": pd.Categorical(["a"])}),
        pd.DataFrame({1: ["a"]}),
        pd.DataFrame(),
        {"a": 1},
    ],
)
def test_a_table_of_anything_else_is_left_to_pandas(frame):
    assert write_table(frame, "unused.xlsx", lambda: "pandas") == "pandas"


def test_texts_of_a_workbook_are_read_as_openpyxl_reads_them():
    source = (
        b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        b"<si><t>plain</t></si><si><t></t></si><si><t/></si><si/>"
        b'<si><t xml:space="preserve"> kept </t></si><si><t>_x005F_x0001_</t></si>'
        b"<si><r><t>rich</t></r><r><t>er</t></r></si>"
        b"<si><t>a&amp;b\r\nc</t><rPh sb='0' eb='1'><t>x</t></rPh></si></sst>"
    )
    assert read_string_table(io.BytesIO(source)) == slow_reader(io.BytesIO(source))


def read(path, *, short):
    """The table's cells and their types, and whether the libraries' way was taken."""
    asked = []

    def otherwise(self, sheet, needed):
        asked.append(sheet)
        return OpenpyxlReader.get_sheet_data(self, sheet, needed)

    class Short(OpenpyxlReader):
        get_sheet_data = read_sheet(otherwise)

    reader = (Short if short else OpenpyxlReader)(path)
    with contextlib.closing(reader):
        grid = reader.get_sheet_data(reader.get_sheet_by_index(0))
    return [[(type(cell), repr(cell)) for cell in row] for row in grid], bool(asked)


@pytest.mark.filterwarnings("ignore:Cell contents too long")
@pytest.mark.filterwarnings("ignore:Ignoring URL")
@pytest.mark.parametrize("seed", range(30))
def test_a_sheet_of_texts_and_numbers_is_read_as_pandas_reads_it(tmp_path, seed):
    frame, path = table(seed).drop(columns="flag"), tmp_path / "t.xlsx"
    plain = frame.replace(
        regex={"text": "^[={].*", "gaps": "^=.*", "same": "^[={].*"}, value="z"
    )
    plain.to_excel(path, index=False, engine="xlsxwriter")
    found, library = read(path, short=True)
    assert (found, library) == (read(path, short=False)[0], False)


@pytest.mark.parametrize("cell", [True, "=1+1", pd.Timestamp("2024-01-01"), "{=A1}"])
def test_a_sheet_with_any_other_cell_is_left_to_openpyxl(tmp_path, cell):
    path = tmp_path / "t.xlsx"
    frame = pd.DataFrame({"a": ["x", cell]}, dtype=object)
    frame.to_excel(path, index=False, engine="xlsxwriter")
    found, library = read(path, short=True)
    assert (found, library) == (read(path, short=False)[0], True)


@pytest.mark.parametrize(
    "rows",
    [
        [["a", "b"], [None, None], [None, "x"]],
        [["a", "b"], ["x", None], [None, None]],
        [[0.1 + 0.2, 1e22], [-7, 2**60], [1e-300, -0.0]],
        [[None, None], ["x", "y"]],
        [],
    ],
)
def test_gaps_and_odd_numbers_are_read_as_pandas_reads_them(tmp_path, rows):
    path = tmp_path / "t.xlsx"
    frame = pd.DataFrame(rows)
    frame.to_excel(path, index=False, header=False, engine="xlsxwriter")
    assert read(path, short=True)[0] == read(path, short=False)[0]
