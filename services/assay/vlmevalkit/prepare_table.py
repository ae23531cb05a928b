"""Rewrites a dataset's TSV row by row: pictures go to a spool, placeholders take their place.

`prepare.py` calls it first, in the sealed child. pandas' own tokenizer reads the file, a few megabytes
at a time, so that what is written reads exactly as the original does, whatever its quoting, and memory
does not grow with the file.
"""

from __future__ import annotations

import ast
import hashlib
import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import pandas as pd

from assay.domain.errors import DatasetError
from assay.vlmevalkit.pictures import PictureError, picture_bytes

REFERENCE_LENGTH = 64
"""A shorter `image` cell is upstream's reference to another row."""

_CHUNK_BYTES = 4 * 1024 * 1024
_CHUNK_ROWS = 64
"""Rows with pictures may follow rows without: what came before says little about what comes next."""
_PREFIX = "assay-picture-"
_DIGITS = 58
_NOT_A_TABLE = "give the address of the TSV itself; a web page or an archive is none"

Progress = Callable[[int, int], None]
"""Told what is done, of how much."""


def placeholder(number: int) -> str:
    """What stands in the table for a picture; longer than any reference."""
    return f"{_PREFIX}{number:0{_DIGITS}d}"


def spooled_number(text: str) -> int:
    """The picture a placeholder stands for.

    Raises:
        ValueError: it is no placeholder.
    """
    if not text.startswith(_PREFIX):
        raise ValueError("not a placeholder")
    return int(text.removeprefix(_PREFIX))


@dataclass(slots=True)
class Spool:
    """The pictures' source bytes in one file, each kept once; what is no base64 has its reason instead."""

    stream: BinaryIO
    _offsets: array[int] = field(default_factory=lambda: array("Q", [0]))
    _seen: dict[bytes, int] = field(default_factory=dict)
    _unreadable: dict[int, str] = field(default_factory=dict)

    def add(self, text: str) -> int:
        """Keeps a picture given as base64; returns its number."""
        key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        if key in self._seen:
            return self._seen[key]
        number = self._seen[key] = len(self._offsets) - 1
        try:
            data = picture_bytes(text)
        except PictureError as error:
            data, self._unreadable[number] = b"", str(error)
        self.stream.write(data)
        self._offsets.append(self._offsets[-1] + len(data))
        return number

    def size(self, number: int) -> int:
        """Bytes of a picture's source."""
        return self._offsets[number + 1] - self._offsets[number]

    def read(self, number: int) -> bytes:
        """The source bytes of a picture.

        Raises:
            PictureError: the cell held none.
        """
        if number in self._unreadable:
            raise PictureError(self._unreadable[number])
        start, end = self._offsets[number], self._offsets[number + 1]
        return os.pread(self.stream.fileno(), end - start, start)


def rewrite_table(
    source: Path, target: Path, spool: Spool, progress: Progress
) -> list[str]:
    """Writes `source` to `target` with placeholders; returns the column names.

    Raises:
        DatasetError: the file is no table or has no rows, or an `image` cell is a list of anything but text.
    """
    size = source.stat().st_size
    with (
        source.open("rb") as raw,
        target.open("w", encoding="utf-8", newline="") as out,
    ):
        columns: list[str] = []
        rows = 0
        for frame in _chunks(raw):
            if not columns:
                columns = _columns(frame)
                _write_row(out, columns)
            _write_rows(out, frame, columns, spool, rows)
            rows += len(frame)
            progress(raw.tell(), size)
    spool.stream.flush()
    if not rows:
        cure = "write a row for every sample below the names of the columns"
        raise DatasetError(
            "the table has no rows", cure=cure if "index" in columns else _NOT_A_TABLE
        )
    return columns


def _columns(frame: pd.DataFrame) -> list[str]:
    columns = [str(name) for name in frame.columns]
    if len(columns) == 1 and any(mark in columns[0] for mark in ",;"):
        raise DatasetError(
            f"the file is not tab-separated: its only column is {columns[0][:100]!r}",
            cure="put tabs between the columns, in the first line and in every row",
        )
    return columns


def _chunks(raw: BinaryIO) -> Iterator[pd.DataFrame]:
    """The file as text cells, as pandas tokenizes it, about `_CHUNK_BYTES` at a time."""
    wanted = 1
    try:
        with pd.read_csv(
            raw,
            sep="\t",
            dtype=object,
            keep_default_na=False,
            na_filter=False,
            iterator=True,
        ) as reader:
            while True:
                before = raw.tell()
                try:
                    frame = reader.get_chunk(wanted)
                except StopIteration:
                    return
                if not isinstance(frame.index, pd.RangeIndex):
                    raise DatasetError(
                        "the table's rows have more fields than its header",
                        cure="give every column a name in the first line",
                    )
                yield frame
                wanted = _next_rows(len(frame), raw.tell() - before)
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"the file is not UTF-8 text: {error.reason} at byte {error.start}",
            cure=_NOT_A_TABLE,
        ) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise DatasetError(
            f"the file is not a tab-separated table: {error}", cure=_NOT_A_TABLE
        ) from error


def _next_rows(rows: int, read: int) -> int:
    """How many rows to ask for: as many as hold `_CHUNK_BYTES`, and at most twice as many as last time."""
    per_row = max(read / max(rows, 1), 1.0)
    return max(1, min(2 * rows, int(_CHUNK_BYTES / per_row), _CHUNK_ROWS))


def _write_rows(
    out: TextIO, frame: pd.DataFrame, columns: Sequence[str], spool: Spool, first: int
) -> None:
    cells: list[list[Any]] = [frame.iloc[:, n].tolist() for n in range(len(columns))]
    if "image" in columns:
        place = columns.index("image")
        cells[place] = [
            _without_pictures(cell, spool, first + number)
            for number, cell in enumerate(cells[place])
        ]
    for row in zip(*cells, strict=True):
        _write_row(out, row)


def _write_row(out: TextIO, cells: Sequence[Any]) -> None:
    # Every cell quoted: what pandas makes of a cell does not depend on quotes, but a line of blanks, a
    # leading space or a carriage return outside of them would be read as something else.
    quoted = (
        f'"{cell.replace(chr(34), chr(34) * 2)}"' if isinstance(cell, str) else '""'
        for cell in cells
    )
    out.write("\t".join(quoted) + "\n")


def _without_pictures(cell: Any, spool: Spool, row: int) -> str:
    if not isinstance(cell, str):
        return ""
    if len(cell) <= REFERENCE_LENGTH:
        return cell
    if not (cell[0] == "[" and cell[-1] == "]"):
        return placeholder(spool.add(cell))
    try:
        # Upstream evaluates the cell as Python; a list of texts reads the same, code is not run.
        pictures = ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise DatasetError(
            f"the `image` cell of data row {row + 1} is neither base64 nor a list of base64 texts",
            cure="write several pictures as a list of texts: ['...', '...']",
        ) from error
    return repr([placeholder(spool.add(str(each))) for each in pictures])
