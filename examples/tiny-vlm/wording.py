"""What the tiny model is taught to be asked, and to answer: VLMEvalKit's wordings about digits.

`train.py` asks for both. It names the digit; where the wording asks for a short answer, shortly, and where
it asks for yes or no, it says that after the digit.
"""

from __future__ import annotations

import numpy as np

NAMES = (
    *("zero", "one", "two", "three", "four"),
    *("five", "six", "seven", "eight", "nine"),
)

_WHICH = (
    "Which digit is written in the picture?",
    "Which digit is this?",
    "What digit does the picture show?",
    "Name the digit.",
)
_WHETHER = (
    "Is the digit in the picture {}?",
    "Is this digit {}?",
    "Does the picture show {}?",
)
_CHOOSE = (
    "Please select the correct answer from the options above. \n",
    "Please select the correct answer from the options above.",
)
_SHORTLY = (
    "\nAnswer the question using a single word or phrase.",
    "\nPlease try to answer the question with short words or phrases if possible.",
)
_YES_NO = (" Please answer yes or no.", "")
_LETTERS = ("A", "B", "C", "D")
_KINDS = 4
_SHORT = 2
_RIGHT_SHARE = 0.5


def exchange(digit: int, dice: np.random.Generator) -> tuple[str, str]:
    """A question about a picture of `digit`, and the answer to it."""
    kind = dice.integers(_KINDS)
    if kind == 0:
        return _choice(digit, dice), f"It is {NAMES[digit]}."
    if kind == 1:
        return _whether(digit, dice)
    which = str(dice.choice(_WHICH))
    if kind == _SHORT:
        return which + str(dice.choice(_SHORTLY)), NAMES[digit]
    return which, f"It is {NAMES[digit]}."


def _choice(digit: int, dice: np.random.Generator) -> str:
    wrong = dice.choice([d for d in range(10) if d != digit], 3, replace=False)
    options = [NAMES[d] for d in dice.permutation([digit, *wrong])]
    lines = "".join(
        f"{letter}. {option}\n"
        for letter, option in zip(_LETTERS, options, strict=True)
    )
    return f"Question: {dice.choice(_WHICH)}\nOptions:\n{lines}{dice.choice(_CHOOSE)}"


def _whether(digit: int, dice: np.random.Generator) -> tuple[str, str]:
    asked = digit if dice.random() < _RIGHT_SHARE else int(dice.integers(10))
    question = str(dice.choice(_WHETHER)).format(NAMES[asked])
    verdict = "Yes" if asked == digit else "No"
    return question + str(dice.choice(_YES_NO)), f"It is {NAMES[digit]}. {verdict}."
