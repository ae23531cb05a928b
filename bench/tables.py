"""The benchmark's datasets: official-format TSVs of real photographs, made once and kept in the cache."""

import base64
import csv
import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_sample_image

NAME = "SEEDBench_IMG"


@dataclass(frozen=True)
class Table:
    """One TSV."""

    folder: Path
    rows: int

    @property
    def path(self) -> Path:
        return self.folder / f"{NAME}.tsv"

    @property
    def md5(self) -> str:
        digest = hashlib.md5()
        with self.path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()


def home() -> Path:
    """Where the benchmark keeps what it can make again."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "assay-bench"


def pictures(rows: int, side: int) -> Table:
    """`rows` multiple-choice questions, each with a photograph of its own, `side` pixels square."""
    table = Table(home() / f"pictures-{side}-{rows}", rows)
    if not table.path.exists():
        whole = _enlarged(side)
        cells = (_window(whole, number, side) for number in range(rows))
        _write(table, cells)
    return table


def references(rows: int) -> Table:
    """`rows` questions about one small photograph: what counts here is the number of rows."""
    table = Table(home() / f"references-{rows}", rows)
    if not table.path.exists():
        first = _window(_enlarged(128), 0, 128)
        _write(table, (first if number == 0 else "0" for number in range(rows)))
    return table


def _enlarged(side: int) -> Image.Image:
    photograph = Image.fromarray(load_sample_image("china.jpg"))
    factor = max(1.0, 2.2 * side / photograph.height)
    size = (int(photograph.width * factor), int(photograph.height * factor))
    return photograph.resize(size, Image.Resampling.LANCZOS)


def _window(whole: Image.Image, number: int, side: int) -> str:
    left = (number * 7) % (whole.width - side)
    top = (number * 13) % (whole.height - side)
    buffer = io.BytesIO()
    window = whole.crop((left, top, left + side, top + side))
    window.save(buffer, "JPEG", quality=85)
    return base64.b64encode(buffer.getvalue()).decode()


def _write(table: Table, cells) -> None:
    table.folder.mkdir(parents=True, exist_ok=True)
    unfinished = table.path.with_suffix(".part")
    columns = ["index", "image", "question", *"ABCD", "answer", "category"]
    with unfinished.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter="\t")
        writer.writerow(columns)
        for number, cell in enumerate(cells):
            question = f"What is shown in picture {number}?"
            options = ["a temple", "a flower", "a number", "a street"]
            row = [number, cell, question, *options, "ABCD"[number % 4], "Scene"]
            writer.writerow(row)
    unfinished.replace(table.path)
