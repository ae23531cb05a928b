"""The models behind the endpoint: classifiers that read one digit and answer in text.

`serve.py` learns them at start, which takes seconds, or finds them learned, as in its image. It knows
nothing of HTTP.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
from pictures import NAMES, Part, draw, read, split
from PIL import Image
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.svm import SVC

LEARNED = Path(__file__).with_name("learned.pickle")
"""Where they are kept, if they are."""

_OPTION = re.compile(r"^([A-Z])\. *(\S.*?) *$", re.MULTILINE)
_DIGITS = {word: d for d, name in enumerate(NAMES) for word in (name, str(d))}


class Classifier:
    """Reads handwritten digits."""

    def __init__(self, machine: SVC | LinearDiscriminantAnalysis) -> None:
        """Learns from the part of the digits that the dataset does not hold; takes about a second."""
        learn, held_out = split()
        self._machine = machine
        # It learns from pictures, since pictures are what it will be asked about.
        self._machine.fit(_as_drawn(learn), learn.digits)
        self.accuracy = float(self._machine.score(_as_drawn(held_out), held_out.digits))
        """The share of held-out digits it names right, with no options to choose from."""

    def answer(self, text: str, picture: Image.Image) -> str:
        """The letter of the likeliest option where the text offers digits, else the digit's name."""
        scores = self._machine.decision_function([read(picture)])[0]
        offered = _offered(text)
        if not offered:
            return f"It is {NAMES[int(np.argmax(scores))]}."
        best = max(offered, key=lambda letter: scores[offered[letter]])
        return f"{best}. {NAMES[offered[best]]}"


def learned() -> dict[str, Classifier]:
    """The classifiers by the names they are served under: a good one, and one that errs more often."""
    if LEARNED.exists():
        kept: dict[str, Classifier] = pickle.loads(LEARNED.read_bytes())
        return kept
    svm = SVC(gamma=0.001, C=10.0, decision_function_shape="ovr")
    return {
        "digits-svm": Classifier(svm),
        "digits-lda": Classifier(LinearDiscriminantAnalysis()),
    }


def keep() -> None:
    """Learns, for servers that start later; the image's Dockerfile calls it."""
    LEARNED.write_bytes(pickle.dumps(learned()))


def _offered(text: str) -> dict[str, int]:
    """The digits on offer by their letters: lines such as `B. seven` or `B. 7`."""
    found = {
        letter: _DIGITS.get(word.lower()) for letter, word in _OPTION.findall(text)
    }
    return {letter: digit for letter, digit in found.items() if digit is not None}


def _as_drawn(part: Part) -> np.ndarray:
    return np.array([read(draw(scan)) for scan in part.scans])
