"""A prompt is the ordered text and pictures sent for one sample, in turns from the start."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text, as it is sent."""

    text: str


@dataclass(frozen=True, slots=True)
class PicturePart:
    """A picture as JPEG bytes ready for the wire, inside a pack.

    Attributes:
        digest: sha256 of those bytes, hex.
        key: the pack's object key in the store.
        offset, length: where in the pack the bytes stand.
        url: what a worker opens (file:// or a presigned address); empty until a lease fills it in.
    """

    digest: str
    key: str
    offset: int
    length: int
    url: str = ""


Part = TextPart | PicturePart


@dataclass(frozen=True, slots=True)
class Turn:
    """What the user says in one turn."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Prompt:
    """All turns of one sample; single-turn datasets have one."""

    turns: tuple[Turn, ...]
