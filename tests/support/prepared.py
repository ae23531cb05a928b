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
    records = [
        fmt.encode_prompt([[number % len(shown), question]])
        for number, question in enumerate(questions)
    ]
    offsets = [sum(map(len, records[:n])) for n in range(len(records) + 1)]
    stored = [
        StoredPicture(hashlib.sha256(data).hexdigest(), 0, at, len(data))
        for data, at in zip(shown, accumulate(map(len, shown), initial=0), strict=False)
    ]
    rows = "".join(f"{i}\t{'x' * 70}\t{q}\tA\n" for i, q in enumerate(questions))
    parts = {
        fmt.TABLE: (table or "index\timage\tquestion\tanswer\n" + rows).encode(),
        fmt.SAMPLES: json.dumps(ids).encode(),
        fmt.INVALID: json.dumps(dict(invalid or {})).encode(),
        fmt.PROMPTS: b"".join(records),
        fmt.PROMPT_INDEX: b"".join(map(fmt.encode_offset, offsets)),
        fmt.PICTURES: b"".join(map(fmt.encode_picture, stored)),
        fmt.pack_name(0): b"".join(shown),
    }
    for part, data in parts.items():
        (folder / part).write_bytes(data)
    manifest = Manifest(
        name=name,
        digest=digest,
        family=family,
        cls="CustomMCQDataset",
        type="MCQ",
        sample_count=len(questions),
        invalid_count=len(invalid or {}),
        picture_count=len(shown),
        source_digest="0" * 64,
        source_md5="0" * 32,
        source_bytes=len(parts[fmt.TABLE]),
        localized=False,
        pictures=PicturePolicy(),
        versions={"prepare": "test"},
        parts={part: len(data) for part, data in parts.items()},
        **manifest_fields,
    )
    publish(store, folder, manifest)
    return digest
