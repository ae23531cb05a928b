"""Writes the held-out digits as `Digits.tsv`: a multiple-choice dataset in VLMEvalKit's custom format.

`make demo` runs it; by hand: `python examples/digits/make_dataset.py`. The same bytes come out each time.
"""

from __future__ import annotations

import argparse
import base64
import csv
import io
import sys
from pathlib import Path

import numpy as np
from pictures import NAMES, draw, split
from PIL import Image

_OPTIONS_SEED = 11
_LETTERS = ("A", "B", "C", "D")
_COLUMNS = ("index", "image", "question", *_LETTERS, "answer", "category")
_QUESTION = "Which digit is written in the picture?"
_ROUND = frozenset({"zero", "six", "eight", "nine"})
"""Digits with a closed loop: the two categories get a score of their own."""


def rows() -> list[dict[str, str]]:
    """One row per held-out digit, in the order of the split."""
    _, held_out = split()
    dice = np.random.default_rng(_OPTIONS_SEED)
    table = []
    for index, (scan, digit) in enumerate(
        zip(held_out.scans, held_out.digits, strict=True)
    ):
        wrong = dice.choice([d for d in range(10) if d != digit], 3, replace=False)
        options = [NAMES[d] for d in dice.permutation([digit, *wrong])]
        name = NAMES[digit]
        table.append(
            {
                "index": str(index),
                "image": base64.b64encode(_png(draw(scan))).decode(),
                "question": _QUESTION,
                **dict(zip(_LETTERS, options, strict=True)),
                "answer": _LETTERS[options.index(name)],
                "category": "loop" if name in _ROUND else "no loop",
            }
        )
    return table


def write(path: Path) -> int:
    """Writes the TSV and says how many rows it has."""
    table = rows()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, _COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    part.replace(path)
    return len(table)


def main() -> int:
    """Writes it where the user says, beside this script by default."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=here / "data" / "Digits.tsv")
    arguments = parser.parse_args()
    count = write(arguments.output)
    print(f"{arguments.output}: {count} digits")
    return 0


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
