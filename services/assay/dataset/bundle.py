"""Carries raw datasets to a machine without network, in one file that is checked before it is used.

A bundle is a zip without compression: `manifest.json` (names, digests, what was asked for when the
files were fetched), one member `sha256/<digest>` per raw file, and `manifest.sha256` last. Nothing in
it says where a file goes: places are derived from digests and names that were checked, so that no
member can leave its folder. Everything here blocks.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from assay.dataset.bundle_manifest import (
    MANIFEST,
    REMOTE,
    SEAL,
    Packed,
    Request,
    damaged,
    encoded,
    members_of,
    read_manifest,
)
from assay.dataset.holdings import Holdings, Progress, Raw, how_to_get, with_members
from assay.dataset.sources.digests import CHUNK_BYTES, Digests, Hasher
from assay.dataset.sources.limits import CACHE_FULL, check_room
from assay.dataset.sources.resolve import check_name
from assay.domain import catalog
from assay.domain.errors import (
    ConflictError,
    CorruptError,
    DatasetError,
    NotFoundError,
    StoreFullError,
)
from assay.domain.identity import canonical_digest
from assay.store import keys
from assay.store.cache import IMPORTED, alone

_EPOCH = (1980, 1, 1, 0, 0, 0)
_BROKEN = (
    zipfile.BadZipFile,
    NotImplementedError,
    EOFError,
    RuntimeError,
    ValueError,
    struct.error,
)
"""What the zip reader says to a file that is none."""
_UNWRITABLE = "make room, or name a place that can be written"


def export(
    holdings: Holdings, names: Sequence[str], target: Path, progress: Progress
) -> list[Packed]:
    """Writes a bundle; an earlier file of that name is replaced at the end, or not at all.

    Raises:
        NotFoundError: the raw file of a dataset, or the bundle's folder, is not here.
        DatasetError: of several, or one that only this machine can use.
        CorruptError: a raw file is damaged.
        StoreFullError: the bundle cannot be written.
    """
    wanted = dict.fromkeys(part for name in names for part in with_members(name))
    chosen = {name: _chosen(holdings, name) for name in wanted}
    packed = [_packed(name, found) for name, found in chosen.items()]
    paths = {each.member: chosen[each.name][0].path for each in packed}
    sizes = {each.member: each.digests.size for each in packed}
    total = sum(sizes.values())
    attempted, folder = f"cannot write {target}", target.absolute().parent
    if not folder.is_dir():
        raise NotFoundError(
            f"{attempted}: there is no folder {folder}",
            cure="make the folder, or name a file in another",
        )
    temporary = folder / f".{target.name}.{secrets.token_hex(4)}.part"
    with _said(attempted, _UNWRITABLE):
        try:
            # Nobody else needs room beside the bundle, and no setting moves it elsewhere.
            check_room(attempted, total, folder, spare=0, cure=_UNWRITABLE)
            _write(temporary, packed, paths, _counted(progress, total))
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    return packed


def _chosen(holdings: Holdings, name: str) -> list[Raw]:
    """The records of the one raw file of a dataset."""
    check_name(name)
    raw = holdings.raw(name)
    if not raw:
        raise NotFoundError(
            f"cannot export {name}: its raw file is not here",
            cure=how_to_get(name),
        )
    entry = catalog.lookup(name)
    if entry is not None and entry.md5:
        # Where upstream says which file it is, that one is meant.
        raw = [each for each in raw if each.digests.md5 == entry.md5] or raw
    if len({each.digests for each in raw}) > 1:
        raise DatasetError(
            f"cannot export {name}: {len({each.digests for each in raw})} different files of that"
            " name are here",
            cure=f"assay datasets rm {name}, then fetch the one that is meant",
        )
    return raw


def _packed(name: str, found: Sequence[Raw]) -> Packed:
    digests, entry = found[0].digests, catalog.lookup(name)
    requests = [each.request for each in found if each.request.get("kind") in REMOTE]
    if entry is not None:
        if entry.url and entry.md5 in {"", digests.md5}:
            requests.append(_official(entry))
        elif not requests:
            raise DatasetError(
                f"cannot export {name}: the file here is not VLMEvalKit's, and no other machine would"
                " take it for it",
                cure="give it a name of its own in `dataset_sources`",
            )
    distinct = {canonical_digest(dict(each)): each for each in requests}
    return Packed(name, digests, tuple(distinct.values()))


def _official(entry: catalog.Entry) -> Request:
    return {
        "kind": "HttpAddress",
        "where": entry.url,
        "md5": entry.md5 or None,
        "sha256": None,
    }


def _write(
    path: Path,
    packed: Sequence[Packed],
    paths: Mapping[str, Path],
    counted: Callable[[int], None],
) -> None:
    manifest, seal = encoded(packed)
    with path.open("xb") as stream:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as bundle:
            bundle.writestr(zipfile.ZipInfo(MANIFEST, _EPOCH), manifest)
            for each in {each.member: each for each in packed}.values():
                info = zipfile.ZipInfo(each.member, _EPOCH)
                with (
                    paths[each.member].open("rb") as source,
                    bundle.open(info, "w", force_zip64=True) as member,
                ):
                    if _copied(source, member, counted) != each.digests:
                        raise CorruptError(
                            f"cannot export {each.name}: {paths[each.member]} is damaged",
                            cure=f"assay datasets rm {each.name}, then fetch it again",
                        )
            bundle.writestr(zipfile.ZipInfo(SEAL, _EPOCH), seal)
        stream.flush()
        os.fsync(stream.fileno())


def import_(holdings: Holdings, source: Path, progress: Progress) -> list[Packed]:
    """Takes a bundle in: all of it after every byte was checked, or nothing.

    Raises:
        NotFoundError: there is no such file.
        CorruptError: it is damaged, cut short, or no bundle.
        ConflictError: a table of one's own of that name is here, with other content.
        HeldError: one of its datasets is being prepared or used.
        StoreFullError: it does not fit.
    """
    staged = holdings.cache / "partial" / f".import-{secrets.token_hex(8)}"
    with _opened(source) as bundle:
        packed = read_manifest(bundle, source)
        for each in packed:
            _refuse_other(holdings, each)
        try:
            with _said(f"cannot take {source} into {holdings.cache}", CACHE_FULL):
                staged.mkdir(parents=True)
                total = sum(bundle.getinfo(m).file_size for m in members_of(packed))
                check_room(f"cannot take {source} in", total, staged)
                counted = _counted(progress, total)
                for member in members_of(packed).values():
                    _stage(bundle, member, staged, counted, source)
                with ExitStack() as held:
                    for each in sorted(packed, key=lambda one: one.name):
                        held.enter_context(alone(holdings.cache, each.name))
                    for each in packed:
                        _keep(holdings, each, staged)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return packed


@contextmanager
def _opened(source: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(source) as bundle:
            yield bundle
    except FileNotFoundError as error:
        raise NotFoundError(
            f"there is no file {source}", cure="mend the path"
        ) from error
    except _BROKEN as error:
        raise damaged(source, str(error)) from error
    except OSError as error:
        raise NotFoundError(
            f"cannot read {source}: {error.strerror or error}",
            cure="name a file that `assay datasets export` wrote and this user may read",
        ) from error


def _stage(
    bundle: zipfile.ZipFile,
    packed: Packed,
    folder: Path,
    counted: Callable[[int], None],
    source: Path,
) -> None:
    place = folder / packed.digests.sha256
    with bundle.open(packed.member) as member, place.open("xb") as stream:
        found = _copied(member, stream, counted)  # type: ignore[arg-type]
    if found != packed.digests:
        raise damaged(source, f"{packed.name} in it has other bytes than were packed")


def _refuse_other(holdings: Holdings, packed: Packed) -> None:
    place = holdings.cache / IMPORTED / f"{packed.name}.tsv"
    if not place.is_file() or catalog.lookup(packed.name) is not None:
        return
    hasher = Hasher()
    hasher.take_file(place, lambda _done: None)
    if hasher.digests() != packed.digests:
        raise ConflictError(
            f"another dataset named {packed.name} was imported here before",
            cure=f"assay datasets rm {packed.name}, then import again",
        )


def _keep(holdings: Holdings, packed: Packed, staged: Path) -> None:
    """Makes one checked file what later runs find."""
    key = keys.blob(packed.digests.sha256)
    arrived = staged / packed.digests.sha256
    if arrived.exists():
        holdings.store.put_file(key, arrived)
    blob = holdings.store.path(key)
    requests = [*packed.requests]
    if catalog.lookup(packed.name) is None:
        # A table of one's own is found by its name alone, as one in $LMUData is.
        _link(blob, holdings.cache / IMPORTED / f"{packed.name}.tsv")
        requests.append(
            dict.fromkeys(("where", "md5", "sha256")) | {"kind": "Imported"}
        )
    for request in requests:
        record = {
            "source": request["where"] or "a bundle",
            "request": dict(request),
            "digests": asdict(packed.digests),
        }
        place = keys.source(packed.name, canonical_digest(dict(request)))
        holdings.store.put(place, json.dumps(record, indent=1).encode() + b"\n")


def _link(blob: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    link = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    link.hardlink_to(blob)
    link.replace(target)


def _copied(source: BinaryIO, target: Any, counted: Callable[[int], None]) -> Digests:
    hasher = Hasher()
    while data := source.read(CHUNK_BYTES):
        target.write(data)
        hasher.update(data)
        counted(len(data))
    return hasher.digests()


def _counted(progress: Progress, total: int) -> Callable[[int], None]:
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(done, total)

    return count


@contextmanager
def _said(attempted: str, cure: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreFullError(
            f"{attempted}: {error.strerror or error}",
            cure=cure,
        ) from error
