"""Conversations of MMDU for tests: their table, and what a model says in which turn."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from support.local_runs import picture_cells
from support.scoring import tsv

MMDU = "MMDU"


def turns_of(number: int) -> int:
    """How many turns a conversation has: 2, 3 or 4."""
    return 2 + number % 3


def conversations(count: int) -> tuple[dict[str, list[object]], dict[str, str]]:
    """The columns of a table, with pictures in the first turn and in the last; a reply by each turn's tag."""
    pictures, replies = picture_cells(), {}
    questions, answers, images = [], [], []
    for number in range(count):
        tags = [f"{MMDU}-{number * 10 + n:04d}" for n in range(turns_of(number))]
        replies |= {tag: f'It\'s "{n}":\nline {tag[-2:]}' for n, tag in enumerate(tags)}
        first = f'<ImageHere>One, <ImageHere>two: what is "it" like? ({tags[0]})'
        others = [f"And then?\nSay it's so. ({tag})" for tag in tags[1:-1]]
        questions.append(str([first, *others, f"Last: <ImageHere> ({tags[-1]})"]))
        answers.append(str([f"It's {n}." for n in range(len(tags))]))
        images.append(str([pictures[number + n] for n in range(3)]))
    columns = {"index": list(range(count)), "question": questions}
    return columns | {"answer": answers, "image": images}, replies


def write_conversations(path: Path, count: int) -> dict:
    """An official TSV of so many conversations; its source as a file names it."""
    columns, _ = conversations(count)
    tsv(path, columns)
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    return {path.stem: {"path": str(path), "md5": digest}}


def turns_in(count: int) -> int:
    """All turns of so many conversations."""
    return sum(map(turns_of, range(count)))


def told(body: dict) -> str:
    """A reply that depends on every byte of what was said so far."""
    said = json.dumps(body["messages"], sort_keys=True)
    number = int(hashlib.sha256(said.encode()).hexdigest()[:6], 16)
    return f'It\'s "{number}":\nline {len(body["messages"])}'
