"""A rewritten table reads exactly as the original; its pictures are in the spool."""

from __future__ import annotations

import base64
import io
import warnings

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.domain.errors import DatasetError
from assay.vlmevalkit.pictures import PictureError
from assay.vlmevalkit.prepare_table import (
    Spool,
    placeholder,
    rewrite_table,
    spooled_number,
)

PICTURE = base64.b64encode(bytes(range(60))).decode()
OTHER = base64.b64encode(bytes(reversed(range(60)))).decode()

ODD = [
    "", "NA", "None", "null", "nan", "n/a", "#N/A", "<NA>", "007", "1", "1.0", "1e5", "-0", " 1", "1 ",
    "True", "inf", "0x10", "1_000", " lead", "trail ", "\u00a0", "\ufeff", "=1+1", "'q'", '"', '""', 'a"b',
    "a\tb", "a\nb", "a\r\nb", "a\rb", "\r", "\n", "[1]", "ä", "🥚", "\\", "#", ",", ";", "x" * 70,
    "\x0b", "\x1c",
]  # fmt: skip
CELLS = st.one_of(
    st.sampled_from(ODD),
    st.integers(-5, 10**20).map(str),
    st.floats().map(repr),
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8
    ),
)
IMAGES = st.sampled_from(
    [PICTURE, OTHER, repr([PICTURE, OTHER]), repr([PICTURE]), "0", "", "NA", "12"]
)


def quoted(cell: str, *, always: bool) -> str:
    if always or any(c in cell for c in '"\t\r\n'):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def rewritten(folder, text: str):
    """The table after the rewrite, and the spool."""
    source, target = folder / "in.tsv", folder / "out.tsv"
    source.write_bytes(text.encode())
    spool = Spool((folder / "spool").open("w+b"))
    rewrite_table(source, target, spool, lambda _done, _of: None)
    return target, spool


def read(source) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.DtypeWarning)
        return pd.read_csv(source, sep="\t")


@settings(
    max_examples=300,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.lists(st.tuples(CELLS, IMAGES, CELLS, CELLS), min_size=1, max_size=12),
    header=st.lists(CELLS, min_size=3, max_size=3),
    always=st.booleans(),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_every_other_cell_reads_as_pandas_reads_the_original(
    tmp_path, rows, header, always, end
):
    lines = [(header[0], "image", *header[1:]), *rows]
    text = end.join("\t".join(quoted(c, always=always) for c in line) for line in lines)
    try:
        before = read(io.BytesIO(text.encode()))
    except (pd.errors.ParserError, pd.errors.EmptyDataError):
        return
    if not isinstance(before.index, pd.RangeIndex) or before.empty:
        return
    target, spool = rewritten(tmp_path, text)
    spool.stream.close()
    after = read(target)
    others = [n for n, name in enumerate(before.columns) if name != "image"]
    pd.testing.assert_frame_equal(before.iloc[:, others], after.iloc[:, others])
    assert before["image"].isna().equals(after["image"].isna())


def test_pictures_become_placeholders_of_the_same_shape_and_references_stay(tmp_path):
    cells = [PICTURE, "0", repr([PICTURE, OTHER]), repr([OTHER]), ""]
    rows = [f"{n}\t{cell}\tq" for n, cell in enumerate(cells)]
    target, spool = rewritten(tmp_path, "\n".join(["index\timage\tquestion", *rows]))
    expected = [
        placeholder(0),
        "0",
        repr([placeholder(0), placeholder(1)]),
        repr([placeholder(1)]),
    ]
    assert expected == read(target)["image"].tolist()[:4]
    assert base64.b64decode(OTHER) == spool.read(1)
    assert len(placeholder(0)) > 64
    assert spooled_number(placeholder(7)) == 7
    spool.stream.close()


def test_a_cell_that_is_no_base64_is_that_pictures_trouble_alone(tmp_path):
    rows = ["index\timage", f"0\t{'ü' * 70}", f"1\t{PICTURE}"]
    _, spool = rewritten(tmp_path, "\n".join(rows))
    with pytest.raises(PictureError, match="not base64"):
        spool.read(0)
    assert base64.b64decode(PICTURE) == spool.read(1)
    spool.stream.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not a tab-separated table"),
        (b"index\timage\n", "no rows"),
        (b"index,image,A\n1,2,3\n", "not tab-separated: its only column is 'index,image,A'"),
        (b"index;image;A\n", "not tab-separated"),
        (b"index\timage\n1\t2\n1\t2\t3\t4\n", "not a tab-separated table"),
        (b"index\timage\n1\t2\t3\n", "more fields than its header"),
        (b"index\timage\n1\t\xff\xfe\n", "not UTF-8"),
        (b'index\timage\n1\t"open', "not a tab-separated table"),
        (b"PK\x03\x04\x14\x00\x08\x00\xb5\xff\x00\x00", "not UTF-8"),
        (
            b"index\timage\n1\t[__import__('os').system('touch /tmp/owned'), '" + b"A" * 70 + b"']\n",
            "neither base64 nor a list",
        ),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_with_the_reason(tmp_path, text, message):
    (tmp_path / "in.tsv").write_bytes(text)
    target = tmp_path / "out.tsv"
    with (
        (tmp_path / "spool").open("w+b") as stream,
        pytest.raises(DatasetError, match=message) as refused,
    ):
        rewrite_table(tmp_path / "in.tsv", target, Spool(stream), lambda *_told: None)
    assert refused.value.cure
