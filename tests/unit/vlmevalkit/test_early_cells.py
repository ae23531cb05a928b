"""A prediction that skips the way through a sheet is what it would have come back as."""

from __future__ import annotations

import string

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.vlmevalkit.scoring_early import _cell, _is_plain

WORDS = ["", "1", "1.0", "1e5", "-", "+1", "True", "12:30", "2020-01-01", "50%", "nan"]
ODD = [
    "NULL",
    "N/A",
    "=1+1",
    "{=1}",
    "http://a.b",
    "mailto:x",
    "a_x000D_b",
    " a",
    "a\n",
]


@pytest.fixture(autouse=True, scope="module")
def _folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("cells")))
        yield


def through_a_sheet(text, folder):
    path = folder / "cell.xlsx"
    pd.DataFrame({"prediction": [text, "-"]}).to_excel(
        path, index=False, engine="xlsxwriter"
    )
    return pd.read_excel(path)["prediction"][0]


@settings(max_examples=150, deadline=None)
@given(text=st.text(string.printable + "中文é😀\u3000\u00a0", min_size=1, max_size=12))
def test_a_plain_text_comes_back_as_it_is(tmp_path_factory, text):
    if _is_plain(text):
        assert through_a_sheet(text, tmp_path_factory.getbasetemp()) == text


@pytest.mark.parametrize("text", [*WORDS, *ODD])
def test_every_text_is_read_as_a_sheet_gives_it_back(tmp_path, text):
    found, expected = _cell(text), through_a_sheet(text, tmp_path)
    assert (found == expected) or (pd.isna(found) and pd.isna(expected))


@pytest.mark.parametrize("text", ODD)
def test_what_a_sheet_would_change_is_not_taken_for_plain(text):
    assert not _is_plain(text)
