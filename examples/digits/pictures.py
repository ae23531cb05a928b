"""The handwritten digits as pictures: one split, one way to draw them, one way to read them back.

`make_dataset.py` draws the held-out part, `serve.py` learns from the rest; both must agree about which
is which, so the rule stands here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

NAMES = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
)
"""What the digits are called in options and answers."""

SIDE = 112
"""Pixels of a drawn digit: 14 times the scan's 8, so that both directions are exact."""

_SCAN_SIDE = 8
_SCAN_MAX = 16.0
_SPLIT_SEED = 7
_TRAINING_SHARE = 0.8


class Part(NamedTuple):
    """Some of the scans, with what a person wrote on each."""

    scans: np.ndarray
    """Shape (n, 64): ink from 0 to 16, row by row."""
    digits: np.ndarray
    """Shape (n,): 0 to 9."""


def split() -> tuple[Part, Part]:
    """The part to learn from (80 %) and the held-out part, the same on every machine."""
    digits = load_digits()
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(digits.target))
    cut = int(_TRAINING_SHARE * len(order))
    learn, held_out = order[:cut], order[cut:]
    return (
        Part(digits.data[learn], digits.target[learn]),
        Part(digits.data[held_out], digits.target[held_out]),
    )


def draw(scan: np.ndarray) -> Image.Image:
    """One scan as a picture: dark ink on white paper, smooth at the edges."""
    grey = 255 - scan.reshape(_SCAN_SIDE, _SCAN_SIDE) * (255.0 / _SCAN_MAX)
    small = Image.fromarray(grey.astype(np.uint8))
    return small.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def read(picture: Image.Image) -> np.ndarray:
    """What `draw` was given, as nearly as the picture still shows it; any size and mode will do."""
    grey = picture.convert("L").resize((_SCAN_SIDE, _SCAN_SIDE), Image.Resampling.BOX)
    return (255.0 - np.asarray(grey, dtype=np.float64).ravel()) * (_SCAN_MAX / 255.0)
