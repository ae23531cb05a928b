"""Conversations of MMDU against an endpoint whose reply is a function of all that was said before."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

from support.local_runs import picture_cells

MMDU = "MMDU"


def turns_of(number: int) -> int:
    """How many turns a conversation has: 2, 3 or 4."""
    return 2 + number % 3


def write_conversations(path: Path, count: int) -> dict:
    """An official TSV of `count` conversations; two pictures in the first turn, one later; its source."""
    pictures = picture_cells()
    with path.open("w", newline="") as stream:
        table = csv.writer(stream, delimiter="\t")
        table.writerow(["index", "question", "answer", "image"])
        for number in range(count):
            table.writerow(
                [
                    number,
                    str(_questions(number)),
                    str([f"It's {n}." for n in range(turns_of(number))]),
                    str([pictures[(number + n) % 100] for n in range(3)]),
                ]
            )
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    return {path.stem: {"path": str(path), "md5": digest}}


def _questions(number: int) -> list[str]:
    first = f"<ImageHere>One, <ImageHere>two: what is #{number} \"like\"?"
    others = [f"And then, turn {n}?\nSay it's so." for n in range(2, turns_of(number))]
    return [first, *others, f"Last: <ImageHere> #{number}"]


def told(body: dict) -> str:
    """What is answered: words that depend on every byte of what was said so far."""
    said = json.dumps(body["messages"], sort_keys=True)
    number = int(hashlib.sha256(said.encode()).hexdigest()[:6], 16)
    return f"It's \"{number}\":\nline {len(body['messages'])}"
