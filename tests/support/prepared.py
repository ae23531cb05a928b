"""A small prepared dataset without VLMEvalKit, for tests of whoever reads one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from assay.domain import prepared as fmt
from assay.domain.prepared import Manifest, StoredPicture
from assay.domain.run import PicturePolicy
from assay.store.objects import ObjectStore
from assay.store.prepared import publish


def put_prepared(
    store: ObjectStore,
    folder: Path,
    *,
    name: str = "Tiny",
    questions: Sequence[str] = ("What is it?", "And this?"),
    picture: bytes = b"\xff\xd8 a picture \xff\xd9",
    more_pictures: Sequence[bytes] = (),
    table: str = "",
    invalid: Mapping[int, str] | None = None,
    family: str = "mcq",
    **manifest_fields: Any,
) -> str:
    """Publishes a dataset whose samples show `picture`, or it and others in turn; returns its digest."""
    (folder / "packs").mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(repr((name, questions, picture)).encode()).hexdigest()
    ids = [str(number) for number in range(len(questions))]
    shown = (picture, *more_pictures)
    records = _records(questions, len(shown))
    offsets = accumulate(map(len, records), initial=0)
    rows = "".join(f"{i}\t{'x' * 70}\t{q}\tA\n" for i, q in enumerate(questions))
    parts = {
        fmt.TABLE: (table or "index\timage\tquestion\tanswer\n" + rows).encode(),
        fmt.SAMPLES: json.dumps(ids).encode(),
        fmt.INVALID: json.dumps(dict(invalid or {})).encode(),
        fmt.PROMPTS: b"".join(records),
        fmt.PROMPT_INDEX: b"".join(map(fmt.encode_offset, offsets)),
        fmt.PICTURES: _places(shown),
        fmt.pack_name(0): b"".join(shown),
    }
    for part, data in parts.items():
        (folder / part).write_bytes(data)
    described = {
        "family": family,
        "sample_count": len(questions),
        "invalid_count": len(invalid or {}),
        "picture_count": len(shown),
        **manifest_fields,
    }
    sizes = {part: len(data) for part, data in parts.items()}
    publish(store, folder, _manifest(name, digest, sizes, described))
    return digest


def _manifest(
    name: str, digest: str, sizes: Mapping[str, int], described: Mapping[str, Any]
) -> Manifest:
    return Manifest(
        name=name,
        digest=digest,
        cls="CustomMCQDataset",
        type="MCQ",
        source_digest="0" * 64,
        source_md5="0" * 32,
        source_bytes=sizes[fmt.TABLE],
        localized=False,
        pictures=PicturePolicy(),
        versions={"prepare": "test"},
        parts=sizes,
        **described,
    )


def _places(shown: Sequence[bytes]) -> bytes:
    """The records of pictures that stand one after the other in the first pack."""
    starts = accumulate(map(len, shown), initial=0)
    return b"".join(
        fmt.encode_picture(
            StoredPicture(hashlib.sha256(data).hexdigest(), 0, start, len(data))
        )
        for data, start in zip(shown, starts, strict=False)
    )


def _records(questions: Sequence[str], pictures: int) -> list[bytes]:
    """Each question with one of the pictures, in turn."""
    return [
        fmt.encode_prompt([[number % pictures, question]])
        for number, question in enumerate(questions)
    ]
