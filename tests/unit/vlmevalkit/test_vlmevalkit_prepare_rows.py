"""A row that upstream is asked about holds what upstream's own row would hold, cell by cell."""

from __future__ import annotations

import io
import itertools

import pandas as pd
import pytest

from assay.vlmevalkit.prepare_prompts import row_dicts

COLUMNS: dict[str, tuple[str, str]] = {
    "whole": ("1", "2"),
    "broken": ("1.5", "2"),
    "with a gap": ("1", ""),
    "empty": ("", ""),
    "truth": ("True", "False"),
    "text": ("a", "ä"),
    "text with a gap": ("NA", "b"),
    "huge": ("1" * 30, "2"),
    "mixed": ("1", "x"),
}


def _read(names: tuple[str, ...], storage: str) -> pd.DataFrame:
    rows = [["image", *names]]
    rows += [["picture", *(COLUMNS[name][n] for name in names)] for n in (0, 1)]
    text = "\n".join("\t".join(row) for row in rows)
    with pd.option_context("mode.string_storage", storage):
        return pd.read_csv(io.StringIO(text), sep="\t")


def _cells(row: dict[str, object]) -> list[tuple[str, type, str]]:
    return [(name, type(cell), repr(cell)) for name, cell in row.items()]


@pytest.mark.parametrize("storage", ["python", "pyarrow"])
def test_a_row_has_the_cells_of_upstreams_row_and_their_types(storage):
    for names in itertools.chain(
        itertools.combinations(COLUMNS, 2), [tuple(COLUMNS), ()]
    ):
        data = _read(names, storage)
        theirs = [_cells(dict(data.iloc[row])) for row in range(len(data))]
        assert [_cells(row) for row in row_dicts(data)] == theirs, names


def test_a_row_with_several_pictures_keeps_them_as_a_list():
    data = _read(("whole",), "python")
    data["image"] = [["one", "two"], "three"]
    images = [row["image"] for row in row_dicts(data)]
    assert images == [["one", "two"], "three"]


def test_a_row_left_out_by_a_filter_is_not_asked_about():
    data = _read(("text", "whole"), "python")
    assert [row["text"] for row in row_dicts(data[data["whole"] == 2])] == ["ä"]
