"""What all awkward TSVs are made of: a table with the replies to its rows, and what models say.

The makers of the families call it. Every question carries a tag such as `(POPE-0007)`: the parity
endpoint finds the row by it, so that an answer is a function of the request alone.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

from support.parity_endpoint import Reply

LONG = "The picture shows a temple. " * 1500
"""40 thousand characters: more than an xlsx cell holds."""

CHOICE_SAYINGS = (
    "None", "=1", "007", "A.", LONG, "3.50", "B\x01", "(C)", "The answer is D", "nan",
    "Answer: b", "temple", "A and B", "=HYPERLINK(1)", "I can't help with that.",
    "C\r\nbecause it is red", "  D  ", "null", "A" * 300, "œuf 🥚 _x0001_",
)  # fmt: skip
YES_NO_SAYINGS = (
    "Yes", "no.", "None", "=1", "Yes and no", "007", "Definitely yes!", "NA", "\x02no", LONG,
)  # fmt: skip
TEXT_SAYINGS = (
    "None", "=1", "007", "Red.", LONG, "NULL", "two", "the  Red\tcar", "1e5", "'quoted'",
    "=SUM(A1)", "-", "12%", "N/A", "A\x0bB",
)  # fmt: skip

_QUESTIONS = (
    "What is in the picture?",
    'Which word is "right"?',
    "How many, if x > 3 & y < 4?",
    "图里是什么, 谢谢",
    "Two lines:\nwhat is below?",
)


@dataclass
class AwkwardDataset:
    """One TSV and the replies that go with it.

    Attributes:
        name: the official name, or one of ours.
        columns: of the TSV, in order.
        rows: as the TSV has them.
        replies: by the tag in the question.
    """

    name: str
    columns: tuple[str, ...]
    rows: list[dict[str, object]] = field(default_factory=list)
    replies: dict[str, Reply] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """Writes `<folder>/<name>.tsv`."""
        path = folder / f"{self.name}.tsv"
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, self.columns, delimiter="\t")
            writer.writeheader()
            writer.writerows(self.rows)
        return path

    def add(self, question: str, said: str, **cells: object) -> str:
        """Appends a row and what the model will say to it; returns its tag."""
        tag = f"{self.name}-{len(self.rows):04d}"
        row = {"index": len(self.rows), "question": f"{question} ({tag})"}
        self.rows.append(row | cells)
        self.replies[tag] = Reply(text=said)
        return tag


def saying(sayings: tuple[str, ...], number: int, right: str) -> str:
    """Mostly right, else one of the sayings in turn."""
    return sayings[number // 3 % len(sayings)] if number % 3 == 2 else right


def question(number: int) -> str:
    """One of the questions in turn: quotes, comparison signs, Chinese, a line break."""
    return _QUESTIONS[number % len(_QUESTIONS)]
