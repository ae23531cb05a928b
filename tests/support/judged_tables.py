"""A table and predictions for every family that a judge decides; the tests' only list."""

from __future__ import annotations

from dataclasses import dataclass

from support import scoring

_VAGUE = ("I would say the {}th thing", "It could be many things, see {}", "thing {}")


@dataclass(frozen=True)
class JudgedTable:
    """What is scored.

    Attributes:
        what: the family.
        columns: the dataset's table.
        answers: predictions, many of which only a judge can read.
    """

    what: str
    columns: dict[str, list[object]]
    answers: list[str]


def vague(right, every: int = 3) -> list[str]:
    """The right answers, but for every so many one that says nothing by itself."""
    return [
        _VAGUE[i % len(_VAGUE)].format(i) if i % every == 0 else str(answer)
        for i, answer in enumerate(right)
    ]


def _choice(what: str, columns) -> JudgedTable:
    return JudgedTable(what, columns, vague(columns["answer"]))


JUDGED = {
    "MMStar": _choice("multiple choice", scoring.multiple_choice(24)),
}
