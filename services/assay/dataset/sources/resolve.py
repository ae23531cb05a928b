"""Decides where a dataset's raw file comes from; pure, except that it looks whether files exist.

The order: what the user named, a file in `$LMUData`, upstream's address. Mirrors rewrite addresses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from assay.domain import catalog
from assay.domain.errors import DatasetError
from assay.domain.identity import canonical_digest
from assay.domain.run import SourceOverride

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_MD5 = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Expected:
    """The digests a raw file must have; None: not checked.

    Attributes:
        origin: who expects it, for messages.
    """

    md5: str | None
    sha256: str | None
    origin: str


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of the user's, used in place.

    Attributes:
        named: whether `dataset_sources` names it; or else it was found in `$LMUData`.
    """

    path: Path
    expected: Expected
    named: bool = False

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """A file to download; `url` with mirrors applied, `named` as it was given."""

    url: str
    named: str
    expected: Expected

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object to download."""

    bucket: str
    key: str
    expected: Expected

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


Location = LocalFile | HttpAddress | S3Object


def check_name(name: str) -> None:
    """Refuses what cannot be the name of a file and of an object.

    Raises:
        DatasetError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise DatasetError(
            f"{name[:200]!r} cannot be a dataset's name",
            cure="use letters, digits, '.', '_' and '-', beginning with a letter or digit",
        )


def locate(
    name: str,
    override: SourceOverride | None,
    mirrors: Mapping[str, str],
    lmu_data: Sequence[Path],
) -> Location:
    """Where the raw file of a dataset is.

    Raises:
        DatasetError: nowhere that is known, or the given place makes no sense.
    """
    check_name(name)
    entry = catalog.lookup(name)
    official = Expected(entry.md5 or None if entry else None, None, "VLMEvalKit")
    if override is not None:
        return _given(name, override, mirrors, official)
    names = [f"{name}.tsv"]
    if entry is not None and entry.url and entry.md5:
        # Earlier versions of VLMEvalKit named files as their addresses do; it still takes those.
        names.append(entry.url.rpartition("/")[2])
    for path in (folder / file for file in names for folder in lmu_data):
        if path.is_file():
            return LocalFile(path.absolute(), official)
    if entry is not None and entry.url:
        return HttpAddress(mirrored(entry.url, mirrors), entry.url, official)
    looked = ", ".join(str(folder / f"{name}.tsv") for folder in lmu_data)
    raise DatasetError(
        f"no file for dataset {name}: VLMEvalKit has no address for it"
        + (f", and there is no {looked}" if looked else ""),
        cure=f"name one in `dataset_sources`: {{{name}: {{path: ...}}}}, `url` or `s3`",
    )


def _given(
    name: str,
    override: SourceOverride,
    mirrors: Mapping[str, str],
    official: Expected,
) -> Location:
    expected = _expected(name, override, official)
    if override.path is not None:
        path = Path(override.path).expanduser().absolute()
        return LocalFile(path, expected, named=True)
    if override.url is not None:
        url = mirrored(override.url, mirrors)
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise DatasetError(
                f"cannot fetch dataset {name}: {override.url!r} is no http(s) address",
                cure="write `url: https://host/path.tsv`",
            )
        return HttpAddress(url, override.url, expected)
    parts = urlsplit(override.s3 or "")
    if parts.scheme != "s3" or not parts.netloc or not parts.path.strip("/"):
        raise DatasetError(
            f"cannot fetch dataset {name}: its source is empty or no s3 address"
            f" ({override.s3!r})",
            cure="write exactly one of `url`, `path` and `s3: s3://bucket/key`",
        )
    return S3Object(parts.netloc, parts.path.removeprefix("/"), expected)


def _expected(name: str, override: SourceOverride, official: Expected) -> Expected:
    if override.md5 is None and override.sha256 is None:
        return official
    md5 = override.md5.lower() if override.md5 else None
    sha256 = override.sha256.lower() if override.sha256 else None
    if md5 is not None and not _MD5.fullmatch(md5):
        raise DatasetError(
            f"dataset {name}: {override.md5!r} is no md5",
            cure="write its 32 hex digits",
        )
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise DatasetError(
            f"dataset {name}: {override.sha256!r} is no sha256",
            cure="write its 64 hex digits",
        )
    return Expected(md5, sha256, "dataset_sources")


def mirrored(url: str, mirrors: Mapping[str, str]) -> str:
    """The address after the longest matching prefix was replaced."""
    for prefix in sorted(mirrors, key=len, reverse=True):
        if prefix and url.startswith(prefix):
            return mirrors[prefix] + url.removeprefix(prefix)
    return url


def request_of(location: Location) -> dict[str, str | None]:
    """What was asked for, as it is recorded beside what it led to. Mirrors do not count."""
    where = location.named if isinstance(location, HttpAddress) else str(location)
    return {
        "kind": type(location).__name__,
        "where": where,
        "md5": location.expected.md5,
        "sha256": location.expected.sha256,
    }


def request_digest(location: Location) -> str:
    """Names what was asked for, so that a later run finds what it led to."""
    return canonical_digest(request_of(location))
