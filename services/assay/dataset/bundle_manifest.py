"""What a bundle says it holds, and the check of it: `bundle.py` writes and reads the rest.

Nothing in a bundle is taken on trust: its manifest is sealed, every name in it is checked, and a member
that nobody names makes the whole of it refused.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assay.dataset.sources.digests import Digests
from assay.dataset.sources.resolve import check_name
from assay.domain.errors import AssayError, CorruptError, DatasetError

SCHEMA = "assay.datasets/v1"
MANIFEST = "manifest.json"
SEAL = "manifest.sha256"
_MOST_MANIFEST_BYTES = 16 * 1024 * 1024
_MOST_DATASETS = 10_000
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MD5 = re.compile(r"[0-9a-f]{32}")
REMOTE = ("HttpAddress", "S3Object")

Request = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Packed:
    """One dataset of a bundle.

    Attributes:
        requests: what later runs may ask for that this file answers.
    """

    name: str
    digests: Digests
    requests: tuple[Request, ...]

    @property
    def member(self) -> str:
        """Its member's name."""
        return f"sha256/{self.digests.sha256}"


def encoded(packed: Sequence[Packed]) -> tuple[bytes, bytes]:
    """The manifest and its seal."""
    document = {"schema": SCHEMA, "datasets": [asdict(each) for each in packed]}
    manifest = json.dumps(document, indent=1, sort_keys=True).encode()
    return manifest, hashlib.sha256(manifest).hexdigest().encode()


def members_of(packed: Sequence[Packed]) -> dict[str, Packed]:
    """The datasets by their members; of equal files there is one."""
    return {each.member: each for each in packed}


def read_manifest(bundle: zipfile.ZipFile, source: Path) -> list[Packed]:
    """What the bundle says it holds, after a look at all its members."""
    infos = bundle.infolist()
    names = [info.filename for info in infos]
    if len(set(names)) != len(names):
        raise damaged(source, "two members have one name")
    if any(
        info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 for info in infos
    ):
        raise damaged(
            source, "it is compressed or encrypted, which no bundle of ours is"
        )
    try:
        if bundle.getinfo(MANIFEST).file_size > _MOST_MANIFEST_BYTES:
            raise damaged(source, "its manifest is too long")
        manifest = bundle.read(MANIFEST)
        if bundle.read(SEAL).decode() != hashlib.sha256(manifest).hexdigest():
            raise damaged(source, "its manifest is not what was sealed")
        document = json.loads(manifest)
        if document["schema"] != SCHEMA:
            raise damaged(source, f"its schema is {str(document['schema'])[:60]!r}")
        packed = [_read_packed(each) for each in document["datasets"][:_MOST_DATASETS]]
    except (KeyError, TypeError, ValueError, AttributeError, DatasetError) as error:
        raise damaged(source, f"its manifest makes no sense: {error}") from error
    expected = {MANIFEST, SEAL, *members_of(packed)}
    if expected != set(names):
        odd = min(expected ^ set(names))
        raise damaged(source, f"{odd[:120]!r} is missing or has no place in it")
    return packed


def _read_packed(given: Mapping[str, Any]) -> Packed:
    """One dataset of the manifest.

    Raises:
        ValueError, KeyError, TypeError: it makes no sense.
        DatasetError: its name is none.
    """
    name, digests = str(given["name"]), Digests(**given["digests"])
    check_name(name)
    if not (_DIGEST.fullmatch(digests.sha256) and _MD5.fullmatch(digests.md5)):
        raise ValueError(f"digests of {name}")
    requests = [
        {key: each[key] for key in ("kind", "where", "md5", "sha256")}
        for each in given["requests"]
    ]
    for each in requests:
        right = (
            each["kind"] in REMOTE
            and isinstance(each["where"], str)
            and each["md5"] in {None, digests.md5}
            and each["sha256"] in {None, digests.sha256}
        )
        if not right:
            raise ValueError(f"requests of {name}")
    return Packed(name, digests, tuple(requests))


def damaged(source: Path, why: str) -> AssayError:
    """What is said of a bundle that is not as it was written."""
    return CorruptError(
        f"cannot import {source}: {why}; nothing was imported",
        cure="copy it again, or export it again with `assay datasets export`",
    )
