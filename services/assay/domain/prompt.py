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
class Row:
    """A sample's row of its dataset's table, for a model that builds its prompts itself.

    Attributes:
        cells: a JSON object, column by column, without the pictures.
        pictures: the files that upstream would write for it, in order.
    """

    cells: str
    pictures: tuple[PicturePart, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """All turns of one sample; single-turn datasets have one. `row`: for models that run in a worker."""

    turns: tuple[Turn, ...]
    row: Row | None = None
