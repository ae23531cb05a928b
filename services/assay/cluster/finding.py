"""What `assay doctor` says of one thing that it has looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from assay.domain.errors import AssayError


class Verdict(StrEnum):
    """How it is. UNKNOWN: nobody here may look, which is no fault."""

    OK = "OK"
    FAIL = "FAIL"
    UNKNOWN = "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line.

    Attributes:
        about: what was looked at.
        words: how it is.
        cure: what to do about it; empty: nothing need be done.
    """

    verdict: Verdict
    about: str
    words: str
    cure: str = ""


def fine(about: str, words: str) -> Finding:
    """It is as it should be."""
    return Finding(verdict=Verdict.OK, about=about, words=words)


def wrong(about: str, words: str, cure: str) -> Finding:
    """It is not."""
    return Finding(verdict=Verdict.FAIL, about=about, words=words, cure=cure)


def unknown(about: str, words: str) -> Finding:
    """Nobody here can say."""
    return Finding(verdict=Verdict.UNKNOWN, about=about, words=words)


def failed(about: str, error: AssayError) -> Finding:
    """Looking itself failed."""
    return wrong(about, error.message, error.cure or "")
