"""A raw file that the user has already: read in place, never written, hashed once per state of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from assay.dataset.sources.digests import Digests, check, hash_file
from assay.dataset.sources.resolve import LocalFile
from assay.domain.errors import DatasetError


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What changes when a file does: lets a later run trust a digest without reading the file again."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int


def fingerprint(name: str, path: Path) -> Fingerprint:
    """Of the file as it is now. Blocks.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        if not path.is_file():
            raise DatasetError(
                f"cannot read dataset {name}: there is no file {path}",
                cure="mend the path",
            )
        found = path.stat()
    except OSError as error:
        raise _unreadable(name, path, error) from error
    return Fingerprint(
        found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
    )


def read_through(
    name: str, source: LocalFile, progress: Callable[[int], None]
) -> Digests:
    """Hashes and checks the file. Blocks.

    Raises:
        DatasetError: it cannot be read.
        DigestMismatchError: it is not the expected file.
    """
    try:
        found = hash_file(source.path, progress)
    except OSError as error:
        raise _unreadable(name, source.path, error) from error
    cure = _other_file(name, source, found)
    check(name, str(source.path), found, source.expected, cure)
    return found


def _other_file(name: str, source: LocalFile, found: Digests) -> str:
    """What helps where the file is not the expected one."""
    if source.named:
        expected = source.expected
        md5 = expected.md5 is not None and expected.md5 != found.md5
        kind, digest = ("md5", found.md5) if md5 else ("sha256", found.sha256)
        verb = "correct" if expected.origin == "dataset_sources" else "give"
        return f"{verb} `dataset_sources.{name}.{kind}` (this file's is {digest}), or name the right file"
    return (
        "move the file away to have the official one fetched, or, if it is meant, name it in"
        f" `dataset_sources` with its own digest: {{{name}: {{path: {source.path},"
        f" md5: {found.md5}}}}}; it was left as it is"
    )


def _unreadable(name: str, path: Path, error: OSError) -> DatasetError:
    return DatasetError(
        f"cannot read dataset {name} from {path}: {error.strerror or error}",
        cure="make the file readable for this user",
    )
