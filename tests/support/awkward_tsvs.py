"""Official-format TSVs full of what goes wrong, with what a model will say to each row.

The parity tests call `awkward_dataset(name)`. Every question carries a tag such as `(POPE-0007)`: the
parity endpoint finds the row by it, so that an answer is a function of the request alone.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from support.awkward_pictures import awkward_cell, cell, crop, unsendable_cell
from support.parity_endpoint import Reply

LONG = "The picture shows a temple. " * 1500
"""40 thousand characters: more than an xlsx cell holds."""

_MCQ_SAYINGS = (
    "None", "=1", "007", "A.", LONG, "3.50", "B\x01", "(C)", "The answer is D", "nan",
    "Answer: b", "temple", "A and B", "=HYPERLINK(1)", "I can't help with that.",
    "C\r\nbecause it is red", "  D  ", "null", "A" * 300, "œuf 🥚 _x0001_",
)  # fmt: skip
_YN_SAYINGS = (
    "Yes", "no.", "None", "=1", "Yes and no", "007", "Definitely yes!", "NA", "\x02no", LONG,
)  # fmt: skip
_TEXT_SAYINGS = (
    "None", "=1", "007", "Red.", LONG, "NULL", "two", "the  Red\tcar", "1e5", "'quoted'",
    "=SUM(A1)", "-", "12%", "N/A", "A\x0bB",
)  # fmt: skip


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


def _saying(sayings: tuple[str, ...], number: int, right: str) -> str:
    """Mostly right, else one of the sayings in turn."""
    return sayings[number // 3 % len(sayings)] if number % 3 == 2 else right


def _mcq_cells(number: int) -> dict[str, object]:
    options = (
        {"A": "temple", "B": "flower", "C": "seven", "D": "None of these"},
        {"A": "None", "B": "NA", "C": 'a "quoted" option', "D": "4"},
        {"A": "007", "B": "1.50", "C": "", "D": ""},
        {"A": "=1+1", "B": "a, b\tand c", "C": "=x", "D": "nan"},
        {"A": "the temple", "B": "temple", "C": "No", "D": "yes"},
    )[number % 5]
    hint = ("", "It's 5\" wide", "None", "Hint with a tab\there", "")[number % 5]
    return {
        "image": str(number - 3) if number % 11 == 9 else awkward_cell(number),
        "hint": hint,
        **options,
        "answer": "ABCD"[number % 4] if number % 5 != 2 else "AB"[number % 2],
        "category": ("Scene Understanding", "Instance Counting", "Text & Signs")[
            number % 3
        ],
    }


def _question(number: int) -> str:
    return (
        "What is in the picture?",
        'Which word is "right"?',
        "How many, if x > 3 & y < 4?",
        "图里是什么, 谢谢",
        "Two lines:\nwhat is below?",
    )[number % 5]


def _mcq(name: str, rows: int, *, split: bool = False) -> AwkwardDataset:
    columns = ("index", "image", "question", "hint", "A", "B", "C", "D", "answer")
    extra = ("category", "split") if split else ("category",)
    made = AwkwardDataset(name, columns + extra)
    for number in range(rows):
        cells = _mcq_cells(number)
        if split:
            cells["split"] = ("dev", "val")[number % 2]
        right = str(cells["answer"])
        made.add(_question(number), _saying(_MCQ_SAYINGS, number, right), **cells)
    return made


def _pope(rows: int) -> AwkwardDataset:
    columns = ("index", "question", "answer", "category", "image")
    made = AwkwardDataset("POPE", columns)
    for number in range(rows):
        answer = ("Yes", "No")[number // 2 % 2]
        category = ("adversarial", "popular", "random")[number % 3]
        picture = str(number - 1) if number % 7 == 3 else awkward_cell(number)
        made.add(
            "Is there a temple in the image?",
            _saying(_YN_SAYINGS, number, answer),
            answer=answer,
            category=category,
            image=picture,
        )
    return made


def _mme(pairs: int) -> AwkwardDataset:
    """Two questions a picture; `.jpg` paths make upstream write the picture as JPEG twice."""
    columns = ("index", "image", "question", "answer", "category", "image_path")
    made = AwkwardDataset("MME", columns)
    for number in range(pairs):
        suffix = ("jpg", "png")[number % 2]
        # JPEG knows no palette and no alpha: upstream converts before it writes.
        picture = awkward_cell(number)
        for answer in ("Yes", "No"):
            position = len(made.rows)
            made.add(
                f"Is this {answer.lower()}? Please answer yes or no.",
                _saying(_YN_SAYINGS, position, answer),
                image=picture if answer == "Yes" else str(position - 1),
                answer=answer,
                category=("existence", "count", "code_reasoning")[number % 3],
                image_path=f"{number:04d}.{suffix}",
            )
    return made


def _hallusion(rows: int) -> AwkwardDataset:
    columns = ("index", "image", "question", "answer", "category", "l2-category")
    made = AwkwardDataset("HallusionBench", columns)
    for number in range(rows):
        category, second = ("VD", "VS")[number % 2], ("figure", "math")[number // 2 % 2]
        answer = ("Yes", "No")[number % 3 % 2]
        index = f"{category}_{second}_x_{number // 6}_{number // 2 % 3}_{number % 2}"
        tag = made.add(
            "Is the left line longer?",
            _saying(_YN_SAYINGS, number, answer),
            image=awkward_cell(number),
            answer=answer,
            category=category,
        )
        made.rows[-1] |= {"index": index, "l2-category": second}
        assert tag in made.replies
    return made


def _chartqa(rows: int) -> AwkwardDataset:
    """Every answer and every prediction looks like a number, but for one `None`."""
    columns = ("index", "question", "answer", "image", "split")
    made = AwkwardDataset("ChartQA_TEST", columns)
    for number in range(rows):
        answer = ("007", "5", "2.5", "1e3", "0", "-4", "100")[number % 7]
        said = (answer, answer, "3.50", "007", "12")[number % 5]
        made.add(
            "What is the value of the red bar?",
            "None" if number == rows - 2 else said,
            answer=answer,
            image=awkward_cell(number),
            split=("test_human", "test_augmented")[number % 2],
        )
    return made


def _listed(name: str, rows: int) -> AwkwardDataset:
    """Ten (TextVQA) or two (DocVQA) accepted answers, as a list in the cell."""
    made = AwkwardDataset(name, ("index", "image", "question", "answer"))
    words = ("red", "two", "temple street", "None", "it's", "$5.00")
    for number in range(rows):
        word = words[number % len(words)]
        answers = [word] * 7 + [f"a {word}", word.upper(), "x"]
        made.add(
            "What does the sign say?",
            _saying(_TEXT_SAYINGS, number, word),
            image=awkward_cell(number),
            answer=str(answers if name == "TextVQA_VAL" else answers[6:8]),
        )
    return made


def _retyped(rows: int) -> AwkwardDataset:
    """Numbers only, and scored as text: one failed row decides how the whole column is read."""
    columns = ("index", "image", "question", "answer")
    made = AwkwardDataset("OCRVQA_TESTCORE", columns)
    for number in range(rows):
        picture = awkward_cell(number)
        made.add("Which number?", "007", image=picture, answer="007")
    return made


_FACTORIES: dict[str, Callable[[], AwkwardDataset]] = {
    "SEEDBench_IMG": lambda: _mcq("SEEDBench_IMG", 110),
    "RealWorldQA": lambda: _mcq("RealWorldQA", 40),
    "Courtyard": lambda: _mcq("Courtyard", 60, split=True),
    "POPE": lambda: _pope(90),
    "MME": lambda: _mme(36),
    "HallusionBench": lambda: _hallusion(48),
    "ChartQA_TEST": lambda: _chartqa(60),
    "TextVQA_VAL": lambda: _listed("TextVQA_VAL", 60),
    "OCRVQA_TESTCORE": lambda: _retyped(40),
    "DocVQA_VAL": lambda: _listed("DocVQA_VAL", 50),
}


def awkward_dataset(name: str) -> AwkwardDataset:
    """One of the datasets by its name."""
    return _FACTORIES[name]()


def with_failures(made: AwkwardDataset) -> dict[str, str]:
    """Makes some requests fail for ever; returns the reason Assay must give, by tag."""
    reasons = {}
    tags = list(made.replies)
    for position, tag in enumerate(tags[4::9]):
        kind = position % 4
        if kind == 0:
            made.replies[tag] = Reply(status=500)
            reasons[tag] = "server_error"
        elif kind == 1:
            made.replies[tag] = Reply(status=400)
            reasons[tag] = "request_rejected"
        elif kind == 2:
            made.replies[tag] = Reply(text="")
            reasons[tag] = "empty_answer"
        else:
            made.rows[tags.index(tag)]["image"] = unsendable_cell(position)
            reasons[tag] = "picture_invalid"
    return reasons


def plain_cell(number: int, side: int) -> str:
    """A square JPEG photograph, as the benchmark's datasets have them."""
    return cell(crop(number, side, side), "JPEG", quality=90)
