"""Reads prepared datasets from a store and adds them to it.

The aggregator reads prompts while it leases, scorers get the table, the dataset service publishes what
a sealed child left in its folder. Memory per dataset: about 60 bytes per sample and picture, the
sample ids, and a few blocks of prompts.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

from assay.domain import prepared as fmt
from assay.domain.errors import CorruptError, NotFoundError, PermanentError
from assay.domain.prepared import Manifest
from assay.domain.prompt import Part, PicturePart, Prompt, Row, TextPart, Turn
from assay.store import keys
from assay.store.objects import ObjectStore

_BLOCK_BYTES = 256 * 1024
_BLOCKS_KEPT = 16


class PreparedDataset:
    """One prepared dataset, open for reading; safe to use from several threads."""

    def __init__(self, store: ObjectStore, manifest: Manifest) -> None:
        self._store = store
        self.manifest = manifest
        ids = json.loads(self._part(fmt.SAMPLES))
        invalid = json.loads(self._part(fmt.INVALID))
        self.sample_ids: Sequence[str] = tuple(ids)
        self.invalid: Mapping[int, str] = {int(k): v for k, v in invalid.items()}
        self._index = self._part(fmt.PROMPT_INDEX)
        self._pictures = self._part(fmt.PICTURES)
        self._blocks = _Blocks(store, self._key(fmt.PROMPTS))
        count = manifest.sample_count
        if (
            len(self.sample_ids) != count
            or len(self._index) != (count + 1) * fmt.OFFSET_BYTES
        ):
            raise CorruptError(
                f"cannot open dataset {manifest.name} ({manifest.digest[:12]}): its parts disagree"
                f" about {count} samples",
                cure="delete it and let it be prepared again",
            )

    @classmethod
    def open(cls, store: ObjectStore, name: str, digest: str) -> PreparedDataset:
        """Opens a prepared dataset.

        Raises:
            NotFoundError: it is not prepared in this store.
            CorruptError: its parts do not fit together.
            StoreUnavailableError: the store did not answer.
        """
        manifest = read_manifest(store, name, digest)
        if manifest is None:
            raise NotFoundError(
                f"cannot open dataset {name} ({digest[:12]}): not prepared in this store"
            )
        return cls(store, manifest)

    def prompt(self, ordinal: int) -> Prompt:
        """What is said to a model for one sample; pictures come without `url`.

        Raises:
            PermanentError: the sample has no prompt: see `invalid`.
            CorruptError: what is stored is no prompt.
            StoreUnavailableError: the store did not answer.
        """
        if ordinal in self.invalid:
            raise PermanentError(
                f"cannot ask about sample {self.sample_ids[ordinal]} of {self.manifest.name}:"
                f" {self.invalid[ordinal]}"
            )
        start = fmt.decode_offset(self._index, ordinal)
        end = fmt.decode_offset(self._index, ordinal + 1)
        turns, row = fmt.decode_record(self._blocks.read(start, end - start))
        pictures = () if row is None else tuple(map(self._picture, row.pictures))
        return Prompt(
            turns=tuple(Turn(parts=tuple(map(self._resolve, turn))) for turn in turns),
            row=None if row is None else Row(row.cells, pictures),
        )

    def _resolve(self, part: fmt.TextOrPicture) -> Part:
        return TextPart(part) if isinstance(part, str) else self._picture(part)

    def _picture(self, number: int) -> PicturePart:
        stored = fmt.decode_picture(self._pictures, number)
        return PicturePart(
            digest=stored.digest,
            key=self._key(fmt.pack_name(stored.pack)),
            offset=stored.offset,
            length=stored.length,
        )

    def _key(self, part: str) -> str:
        return keys.prepared(self.manifest.name, self.manifest.digest, part)

    def _part(self, part: str) -> bytes:
        return self._store.get(self._key(part))


class _Blocks:
    """Reads of a large object through a few blocks: neighbours come with one request."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        self._store = store
        self._key = key
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        # Protects `_kept`: prompts are read from several threads.
        self._lock = threading.Lock()

    def read(self, offset: int, length: int) -> bytes:
        first = offset // _BLOCK_BYTES
        last = max(offset + length - 1, offset) // _BLOCK_BYTES
        data = b"".join(self._block(number) for number in range(first, last + 1))
        start = offset - first * _BLOCK_BYTES
        found = data[start : start + length]
        if len(found) != length:
            raise CorruptError(
                f"cannot read {self._key}: it ends before {offset + length}"
            )
        return found

    def _block(self, number: int) -> bytes:
        with self._lock:
            if number in self._kept:
                self._kept.move_to_end(number)
                return self._kept[number]
        data = self._store.get_range(self._key, number * _BLOCK_BYTES, _BLOCK_BYTES)
        with self._lock:
            self._kept[number] = data
            while len(self._kept) > _BLOCKS_KEPT:
                self._kept.popitem(last=False)
        return data


def read_manifest(store: ObjectStore, name: str, digest: str) -> Manifest | None:
    """The manifest of a prepared dataset; None: it is not (completely) in this store.

    Raises:
        CorruptError: it cannot be read.
        StoreUnavailableError: the store did not answer.
    """
    try:
        data = store.get(keys.prepared(name, digest, fmt.MANIFEST))
    except NotFoundError:
        return None
    return fmt.manifest_from_json(data)


def publish(store: ObjectStore, folder: Path, manifest: Manifest) -> None:
    """Moves the parts that `manifest` names from `folder` into the store, the manifest last.

    Raises:
        StoreFullError: no space left.
        StoreUnavailableError: the store did not answer.
    """
    for part in manifest.parts:
        store.put_file(
            keys.prepared(manifest.name, manifest.digest, part), folder / part
        )
    store.put(
        keys.prepared(manifest.name, manifest.digest, fmt.MANIFEST),
        fmt.manifest_to_json(manifest),
    )


def delete(store: ObjectStore, name: str, digest: str) -> None:
    """Takes a prepared dataset away, the manifest first: a reader never finds half of one.

    Raises:
        NotFoundError: it is not prepared in this store.
        StoreUnavailableError: the store did not answer.
    """
    if read_manifest(store, name, digest) is None:
        raise NotFoundError(f"cannot delete dataset {name} ({digest[:12]}): not here")
    store.delete(keys.prepared(name, digest, fmt.MANIFEST))
    for key in list(store.list(keys.prepared(name, digest))):
        store.delete(key)


def prepared_here(store: ObjectStore) -> list[Manifest]:
    """Every prepared dataset of the store, by name and digest.

    Raises:
        CorruptError: a manifest cannot be read.
        StoreUnavailableError: the store did not answer.
    """
    found = []
    for key in store.list("datasets/"):
        parts = key.split("/")
        if len(parts) == 4 and parts[3] == fmt.MANIFEST:  # noqa: PLR2004 - datasets/<name>/<digest>/<part>
            manifest = read_manifest(store, parts[1], parts[2])
            if manifest is not None:
                found.append(manifest)
    return found
