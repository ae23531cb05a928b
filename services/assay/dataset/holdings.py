"""What a cache holds of each dataset: looked over, proven byte by byte, taken away.

The command line calls it for `assay datasets verify` and `rm`; `bundle.py` finds here what it exports.
Everything here blocks. The files a user named (`path`, `$LMUData`) are read, never changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from assay.dataset.sources import local
from assay.dataset.sources.digests import CHUNK_BYTES, Digests
from assay.domain import catalog
from assay.domain.errors import AssayError, CorruptError, DatasetError, NotFoundError
from assay.domain.prepared import MANIFEST, Manifest
from assay.store import keys
from assay.store.cache import IMPORTED, alone
from assay.store.folder import FolderStore
from assay.store.prepared import read_manifest

Progress = Callable[[int, int], None]
"""Told bytes done, of how many."""

_LISTED = "`assay datasets list --here` shows what is here"


@dataclass(frozen=True, slots=True)
class Raw:
    """A raw file that a request led to.

    Attributes:
        request: what was asked for (`resolve.request_of`); empty: recorded by an earlier version.
        path: where the bytes should be: the cache's, or the user's own file.
        ours: whether it is the cache's.
        there: whether it is there, and, of the user's own, unchanged since.
    """

    request: Mapping[str, str | None]
    digests: Digests
    path: Path
    ours: bool
    there: bool


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is not as it was written."""

    name: str
    what: str

    @property
    def cure(self) -> str:
        """What to do about it."""
        return f"assay datasets rm {self.name}, then assay datasets fetch {self.name}"


class Holdings:
    """One cache."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.store = FolderStore(cache)

    def names(self) -> list[str]:
        """Datasets of which anything is here, in order."""
        folders = [self.cache / place for place in ("datasets", "partial")]
        there = [p for f in folders if f.is_dir() for p in f.iterdir()]
        # What failed before anything came of it leaves empty folders.
        found = {p.name for p in there if not p.name.startswith(".") and _any_byte(p)}
        return sorted(found)

    def raw(self, name: str) -> list[Raw]:
        """Raw files of a dataset that can be read now.

        Raises:
            CorruptError: what was recorded about one cannot be read.
        """
        return [raw for raw in self._records(name) if raw.there]

    def whole(self, name: str) -> bool:
        """Whether anything complete is kept of a dataset: a raw file, or what was prepared from one.

        Raises:
            CorruptError: what was recorded about it cannot be read.
        """
        return bool(self.prepared(name)) or any(raw.ours for raw in self.raw(name))

    def size(self, name: str) -> int:
        """Bytes on disk that only this dataset needs."""
        return _bytes_in(self._places(name))

    def verify(self, name: str, progress: Progress) -> list[Damage]:
        """Reads everything that is here of a dataset, and says what is damaged.

        Raises:
            NotFoundError: nothing of it is here.
        """
        if name not in self.names():
            raise _absent(name, how_to_get(name))
        damages: list[Damage] = []
        checks: list[tuple[str, Path, int, str]] = []
        for digest in self.prepared(name):
            try:
                manifest = read_manifest(self.store, name, digest)
            except CorruptError as error:
                damages.append(Damage(name, error.message))
                continue
            if manifest is not None:
                checks += self._parts(manifest)
        try:
            ours = {raw.digests: raw.path for raw in self.raw(name) if raw.ours}
        except CorruptError as error:
            damages.append(Damage(name, error.message))
            ours = {}
        checks += [("raw source", p, d.size, d.sha256) for d, p in ours.items()]
        return damages + [Damage(name, what) for what in _unsound(checks, progress)]

    def remove(self, name: str) -> int:
        """Takes away everything that is here of a dataset; returns the bytes that became free.

        Raises:
            NotFoundError: nothing of it is here.
            HeldError: it is being prepared, or a run uses it.
        """
        if name not in self.names():
            raise _absent(name, _LISTED)
        with alone(self.cache, name):
            places = self._places(name)
            freed = _bytes_in(places)
            # The manifests first: a reader never finds half of a prepared dataset.
            for digest in self.prepared(name):
                self.store.delete(keys.prepared(name, digest, MANIFEST))
            for place in places:
                if place.is_dir():
                    shutil.rmtree(place)
                else:
                    place.unlink(missing_ok=True)
        return freed

    def _places(self, name: str) -> list[Path]:
        """Every file and folder that only this dataset needs."""
        needed = {
            raw.path
            for other in self.names()
            if other != name
            for raw in self._soundly_recorded(other)
        }
        blobs = {raw.path for raw in self._soundly_recorded(name) if raw.ours} - needed
        places = [
            self.cache / "datasets" / name,
            self.cache / "partial" / name,
            self.cache / IMPORTED / f"{name}.tsv",
            *sorted(blobs),
        ]
        return [place for place in places if place.exists()]

    def prepared(self, name: str) -> list[str]:
        """The digests under which a dataset is prepared."""
        folder = self.cache / "datasets" / name
        return sorted(path.parent.name for path in folder.glob(f"*/{MANIFEST}"))

    def _parts(self, manifest: Manifest) -> Iterator[tuple[str, Path, int, str]]:
        for part, size in manifest.parts.items():
            key = keys.prepared(manifest.name, manifest.digest, part)
            digest = manifest.part_digests.get(part, "")
            yield f"prepared {part}", self.store.path(key), size, digest

    def _records(self, name: str) -> Iterator[Raw]:
        for path in sorted((self.cache / "datasets" / name / "sources").glob("*.json")):
            yield self._record(name, path)

    def _soundly_recorded(self, name: str) -> list[Raw]:
        try:
            return list(self._records(name))
        except CorruptError:
            return []

    def _record(self, name: str, path: Path) -> Raw:
        try:
            record = json.loads(path.read_bytes())
            digests = Digests(**record["digests"])
            request = dict(record.get("request") or {})
            if "fingerprint" not in record:
                where = self.store.path(keys.blob(digests.sha256))
                there = where.is_file()
                return Raw(request, digests, where, ours=True, there=there)
            where = Path(record["source"])
            there = where.is_file() and record["fingerprint"] == asdict(
                local.fingerprint(name, where)
            )
            return Raw(request, digests, where, ours=False, there=there)
        except (OSError, ValueError, KeyError, TypeError, DatasetError) as error:
            raise CorruptError(
                f"what was recorded about a source of {name} cannot be read: {path}"
            ) from error


def with_members(name: str) -> tuple[str, ...]:
    """The datasets that a name stands for: a collection's members, or itself."""
    entry = catalog.lookup(name)
    return entry.members if entry is not None and entry.members else (name,)


def parts_here(name: str, here: Collection[str]) -> list[str]:
    """What is here of a name: of a collection, itself and its members; at least the name."""
    parts = [
        part for part in dict.fromkeys((name, *with_members(name))) if part in here
    ]
    return parts or [name]


def how_to_get(name: str) -> str:
    """What helps where a dataset is wanted and not here."""
    if catalog.lookup(name) is not None:
        return f"assay datasets fetch {name}"
    return (
        f"{_LISTED}; one of your own comes with `assay datasets fetch {name} -f FILE`,"
        " where FILE has it in `dataset_sources`"
    )


def _absent(name: str, cure: str) -> AssayError:
    return NotFoundError(f"nothing of dataset {name} is here", cure=cure)


def _unsound(
    checks: list[tuple[str, Path, int, str]], progress: Progress
) -> Iterator[str]:
    """Reads files through; says of each that is not what it should be, what is wrong with it."""
    total, done = sum(size for _, _, size, _ in checks), 0
    for what, path, size, digest in checks:
        found, here = hashlib.sha256(), 0
        try:
            with path.open("rb") as stream:
                while data := stream.read(CHUNK_BYTES):
                    found.update(data)
                    here += len(data)
                    progress(done + here, total)
        except OSError as error:
            yield f"{what}: {path}: {error.strerror or error}"
        else:
            if here != size:
                yield f"{what}: {path} has {here} bytes instead of {size}"
            elif digest and found.hexdigest() != digest:
                yield f"{what}: {path} has other bytes than were written"
        done += size


def _any_byte(folder: Path) -> bool:
    for place, _, files in os.walk(folder):
        for file in files:
            # A download that goes on now moves its files away.
            with suppress(FileNotFoundError):
                if Path(place, file).stat().st_size:
                    return True
    return False


def _bytes_in(places: list[Path]) -> int:
    """Bytes of all files there; one that stands in two places counts once."""
    files = [
        path.stat()
        for place in places
        for path in ([place] if place.is_file() else place.rglob("*"))
        if path.is_file()
    ]
    return sum({found.st_ino: found.st_size for found in files}.values())
