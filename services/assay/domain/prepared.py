"""The format of a prepared dataset, `assay.dataset/v1`: its manifest and its records.

A sealed child writes the parts, the dataset service adds the manifest, aggregators and scorers read
them (`store/prepared.py`). Beside `manifest.json`:

    table.tsv      the source's table, each picture replaced by a placeholder of the same list shape;
                   of a collection: a plain tar of its members' tables, `<member>.tsv` in their order
    samples.json   the sample ids, in dataset order
    invalid.json   ordinal -> why the sample's picture cannot be sent
    prompts.bin    one JSON record per sample: turns of parts; a text, or a picture's number; for models that
                   run in a worker: {turns, row, pictures}, the row's cells as JSON and its pictures' numbers
    prompts.idx    where each record begins, and where the last ends: unsigned 64 bit, little endian
    pictures.bin   one fixed-size record per picture: digest, pack, offset, length
    packs/NNNNN.pack   the pictures' JPEG bytes, one after the other
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from assay.domain.errors import CorruptError
from assay.domain.identity import canonical_digest
from assay.domain.run import PicturePolicy

SCHEMA = "assay.dataset/v1"

PREPARE_VERSION = "1"
"""Part of every prepared digest: raised when a prompt, a picture or the table would come out otherwise."""

MANIFEST = "manifest.json"
TABLE = "table.tsv"
SAMPLES = "samples.json"
INVALID = "invalid.json"
PROMPTS = "prompts.bin"
PROMPT_INDEX = "prompts.idx"
PICTURES = "pictures.bin"

PACK_BYTES = 32 * 1024 * 1024
"""A pack is closed before it would grow beyond this; one picture larger than it gets its own."""

_OFFSET = struct.Struct("<Q")
_PICTURE = struct.Struct("<32sIQI")
OFFSET_BYTES = _OFFSET.size
PICTURE_BYTES = _PICTURE.size

TextOrPicture = str | int
"""A part of a stored prompt: its text, or the number of its picture."""


def pack_name(number: int) -> str:
    """The part's name of a pack."""
    return f"packs/{number:05d}.pack"


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """Where a picture's bytes stand; `length` 0: it cannot be sent."""

    digest: str
    pack: int
    offset: int
    length: int


class PrepareStage(StrEnum):
    """What is being done to make a dataset ready."""

    WAITING = "WAITING"
    FETCHING = "FETCHING"
    VERIFYING = "VERIFYING"
    PREPARING = "PREPARING"


@dataclass(frozen=True, slots=True)
class StageProgress:
    """How far a stage is: bytes (FETCHING, VERIFYING) or rows (PREPARING); `total` 0: not known."""

    stage: PrepareStage
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRef:
    """What a caller of the dataset service gets: enough to find the dataset in the store."""

    name: str
    digest: str
    sample_count: int
    source_digest: str
    source_md5: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What makes the parts of a prepared dataset one; written last.

    Attributes:
        family: a word of `domain.catalog.Family`, by upstream's class.
        cls, type: upstream's dataset class and its TYPE.
        sample_count: rows in `dataset.data`, those without a sendable picture included.
        invalid_count: rows whose picture cannot be sent.
        picture_count: distinct pictures in the packs.
        source_digest, source_md5, source_bytes: of the raw file; a collection's digest is of its
            members', and it has no md5.
        localized: whether upstream would have re-encoded all pictures first (files above 1 GiB).
        pictures: the policy the pictures were encoded by.
        versions: of everything that can change a prompt or a picture.
        parts: every other part with its bytes.
        part_digests: their sha256; empty: prepared before they were kept.
        answers: whether upstream scores it; else there are only predictions.
        least_limit: the fewest first rows that upstream can score; 0: any.
    """

    name: str
    digest: str
    family: str
    cls: str
    type: str
    sample_count: int
    invalid_count: int
    picture_count: int
    source_digest: str
    source_md5: str
    source_bytes: int
    localized: bool
    pictures: PicturePolicy
    versions: Mapping[str, str]
    parts: Mapping[str, int] = field(default_factory=dict)
    part_digests: Mapping[str, str] = field(default_factory=dict)
    answers: bool = True
    least_limit: int = 0

    @property
    def ref(self) -> PreparedRef:
        """What callers of the dataset service get."""
        return PreparedRef(
            name=self.name,
            digest=self.digest,
            sample_count=self.sample_count,
            source_digest=self.source_digest,
            source_md5=self.source_md5,
            size_bytes=sum(self.parts.values()),
        )


def prepared_digest(
    name: str, source_digest: str, pictures: PicturePolicy, versions: Mapping[str, str]
) -> str:
    """Names a prepared dataset: everything that can change a prompt, and nothing else."""
    return canonical_digest(
        {
            "schema": SCHEMA,
            "name": name,
            "source": source_digest,
            "pictures": pictures.identity(),
            "versions": dict(versions),
        }
    )


def manifest_to_json(manifest: Manifest) -> bytes:
    """The manifest as it is stored."""
    document = {"schema": SCHEMA, **asdict(manifest)}
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def manifest_from_json(data: bytes) -> Manifest:
    """Reads a stored manifest.

    Raises:
        CorruptError: it is not one of this schema.
    """
    try:
        document: dict[str, Any] = json.loads(data)
        schema = document.pop("schema")
        if schema == SCHEMA:
            pictures = PicturePolicy(**document.pop("pictures"))
            return Manifest(**document, pictures=pictures)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptError(f"cannot read a dataset's manifest: {error}") from error
    raise CorruptError(
        f"cannot read a dataset's manifest: its schema is {schema!r}, not {SCHEMA!r}"
    )


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A sample's row of the table: its cells as a JSON object, and its pictures' numbers."""

    cells: str
    pictures: tuple[int, ...]


def encode_prompt(
    turns: Sequence[Sequence[TextOrPicture]], row: StoredRow | None = None
) -> bytes:
    """One record of `prompts.bin`."""
    document: object = turns
    if row is not None:
        document = {"turns": turns, "row": row.cells, "pictures": row.pictures}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def decode_prompt(record: bytes) -> list[list[TextOrPicture]]:
    """The turns of one record of `prompts.bin`.

    Raises:
        CorruptError: it is not one.
    """
    return decode_record(record)[0]


def decode_record(
    record: bytes,
) -> tuple[list[list[TextOrPicture]], StoredRow | None]:
    """One record of `prompts.bin`: its turns, and its row where it was kept.

    Raises:
        CorruptError: it is not one.
    """
    try:
        document = json.loads(record)
        if isinstance(document, list):
            return document, None
        row = StoredRow(document["row"], tuple(document["pictures"]))
        return document["turns"], row
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptError(f"cannot read a stored prompt: {error}") from error


def encode_offset(offset: int) -> bytes:
    """One entry of `prompts.idx`."""
    return _OFFSET.pack(offset)


def decode_offset(index: bytes, position: int) -> int:
    """One entry of `prompts.idx`."""
    offset: int = _OFFSET.unpack_from(index, position * OFFSET_BYTES)[0]
    return offset


def encode_picture(picture: StoredPicture) -> bytes:
    """One record of `pictures.bin`."""
    return _PICTURE.pack(
        bytes.fromhex(picture.digest), picture.pack, picture.offset, picture.length
    )


def decode_picture(records: bytes, number: int) -> StoredPicture:
    """One record of `pictures.bin`.

    Raises:
        CorruptError: there is no such record.
    """
    try:
        digest, pack, offset, length = _PICTURE.unpack_from(
            records, number * PICTURE_BYTES
        )
    except struct.error as error:
        raise CorruptError(f"cannot read picture {number}: {error}") from error
    return StoredPicture(digest.hex(), pack, offset, length)
