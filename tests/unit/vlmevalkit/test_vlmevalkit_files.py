"""A local model gets what upstream would hand it: the row's cells, and the bytes of its picture files."""

import base64
import csv
import io
import json
import subprocess
import sys

import pytest
from PIL import Image

import support.upstream_rows

SCRIPT = support.upstream_rows.__file__


def picture(colour: str, mode: str, kind: str) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), colour).convert(mode).save(buffer, kind)
    return base64.b64encode(buffer.getvalue()).decode()


ONE = [picture("red", "RGB", "PNG"), picture("blue", "L", "JPEG")]
MODES = [*ONE, picture("green", "P", "PNG"), picture("grey", "RGBA", "PNG")]


def rows(cells: list[str]) -> list[dict[str, str]]:
    return [
        {
            "index": str(number),
            "image": cell,
            "question": f"What is it? {number}",
            "A": "None",
            "B": "07",
            "C": "",
            "D": "yes",
            "answer": "D",
            "hint": "look" if number % 2 else "",
            "l2-category": f"kind {number}",
        }
        for number, cell in enumerate(cells)
    ]


@pytest.mark.parametrize(
    "cells", [MODES, [repr(ONE), repr(MODES[2:])]], ids=["one each", "several each"]
)
def test_rows_and_picture_files_are_those_of_upstream(tmp_path, cells):
    table = rows(cells)
    with (tmp_path / "Mine.tsv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(table[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(table)
    done = subprocess.run(
        [sys.executable, SCRIPT, str(tmp_path), "Mine"],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    told = json.loads(done.stdout.strip().splitlines()[-1])
    # As text, since what is missing is not equal to itself.
    assert json.dumps(told["ours"]) == json.dumps(told["theirs"])
    assert sum(len(files) for _, files, _ in told["ours"]) == len(MODES)
