"""Has a dataset prepared by a sealed child and publishes what it left, after a look at every part.

`service.py` calls it while it holds the dataset's lock. The child read hostile input: nothing it says
or left is taken on trust.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assay.dataset.sources.digests import Digests
from assay.dataset.sources.fetch import RawSource
from assay.dataset.sources.limits import CACHE_FULL
from assay.domain import prepared as fmt
from assay.domain.catalog import Family
from assay.domain.errors import DatasetError, SealError, StoreFullError
from assay.domain.identity import canonical_digest
from assay.domain.prepared import Manifest, PrepareStage, StageProgress
from assay.domain.run import PicturePolicy
from assay.seal.launch import MIB, Line, SealedJob, fresh_workdir, run_sealed

CHILD = "assay.dataset.child"

_SECONDS = 600.0
_BYTES_PER_SECOND = 1.0 * MIB
"""The time limit grows with the file: a slow core decodes and encodes several times this."""

_PARTS = (
    fmt.TABLE,
    fmt.SAMPLES,
    fmt.INVALID,
    fmt.PROMPTS,
    fmt.PROMPT_INDEX,
    fmt.PICTURES,
)
_PACK = re.compile(r"packs/\d{5}\.pack")

Tell = Callable[[StageProgress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be prepared.

    Attributes:
        sources: each dataset's raw file by its name: that of `name` alone, or those of its members.
        source: what they are together, see `together`.
    """

    name: str
    digest: str
    sources: Mapping[str, RawSource]
    source: Digests
    pictures: PicturePolicy
    versions: Mapping[str, str]


def together(sources: Mapping[str, Digests]) -> Digests:
    """One name for several raw files; of one file, its own digests."""
    if len(sources) == 1:
        return next(iter(sources.values()))
    named = [[name, digests.sha256] for name, digests in sources.items()]
    size = sum(digests.size for digests in sources.values())
    return Digests(md5="", sha256=canonical_digest(named), size=size)


class Preparer:
    """Runs the child in a folder below `work`; one at a time per dataset."""

    def __init__(self, work: Path, *, unsealed: bool = False) -> None:
        self._work = work
        self._unsealed = unsealed

    async def prepare(self, order: Order, tell: Tell) -> tuple[Path, Manifest]:
        """The folder with the parts, and the manifest that names them.

        Raises:
            DatasetError: the file is not usable.
            SealError: the child could not be sealed, broke a limit, or left nonsense.
            StoreFullError: no space for the work.
        """
        size = order.source.size
        folder = await asyncio.to_thread(self._folder, order)
        lines = _Lines(order.name, tell, self._work)
        job = SealedJob(
            module=CHILD,
            workdir=folder,
            stdin=_input(order),
            readable=tuple(each.path.resolve() for each in order.sources.values()),
            file_limit_bytes=4096 * MIB + 2 * size,
            disk_limit_bytes=4096 * MIB + 4 * size,
            time_limit_seconds=_SECONDS + size / _BYTES_PER_SECOND,
            unsealed=self._unsealed,
        )
        tell(StageProgress(PrepareStage.PREPARING))
        await run_sealed(job, lines.take)
        manifest = await asyncio.to_thread(
            _inspect, folder, order, lines.prepared(), lines.damaged
        )
        return folder, manifest

    def clean(self, name: str) -> None:
        """Takes the dataset's working folder away. Blocks."""
        shutil.rmtree(self._work / name, ignore_errors=True)

    def _folder(self, order: Order) -> Path:
        try:
            folder = fresh_workdir(self._work, order.name).absolute()
        except OSError as error:
            raise StoreFullError(
                f"cannot prepare dataset {order.name} in {self._work}: {error.strerror}",
                cure="make the cache writable, or set $ASSAY_CACHE to another folder",
            ) from error
        free, size = shutil.disk_usage(folder).free, order.source.size
        if 2 * size > free:
            raise StoreFullError(
                f"cannot prepare dataset {order.name}: that takes up to {2 * size} bytes for a while,"
                f" and {free} are free in {self._work}",
                cure=CACHE_FULL,
            )
        return folder


def _input(order: Order) -> bytes:
    return json.dumps(
        {
            "name": order.name,
            "sources": {
                name: str(source.path.resolve())
                for name, source in order.sources.items()
            },
            "pictures": asdict(order.pictures),
        }
    ).encode()


class _Lines:
    """Reads what the child says."""

    def __init__(self, name: str, tell: Tell, work: Path) -> None:
        self._name = name
        self._work = work
        self._tell = tell
        self._prepared: Mapping[str, Any] | None = None
        self.damaged = SealError(
            f"the sealed child that prepared {name} left parts that do not fit together",
            cure="do not trust this file: it made VLMEvalKit's loader misbehave",
        )

    def take(self, line: Line) -> None:
        """One line.

        Raises:
            DatasetError: it says that the file is not usable.
            SealError: it makes no sense.
            StoreFullError: it says that there is no room left.
        """
        match line:
            case {"progress": ["pictures", int(done), int(total)]}:
                self._tell(StageProgress(PrepareStage.PREPARING, done, total))
            case {"progress": [_, int(), int()]}:
                pass
            case {"error": {"message": str(message), "cure": (str() | None) as cure}}:
                raise DatasetError(message, cure=cure)
            case {"full": True}:
                raise StoreFullError(
                    f"cannot prepare dataset {self._name}: no space left in {self._work}",
                    cure=CACHE_FULL,
                )
            case {"prepared": dict(told)}:
                self._prepared = told
            case _:
                raise self.damaged

    def prepared(self) -> Mapping[str, Any]:
        """What the child said at its end.

        Raises:
            SealError: it never said.
        """
        if self._prepared is None:
            raise self.damaged
        return self._prepared


def _inspect(
    folder: Path, order: Order, told: Mapping[str, Any], damaged: SealError
) -> Manifest:
    """Looks at every part, and writes the manifest from what is there. Blocks."""
    try:
        sizes = _sizes(folder)
        ids = json.loads((folder / fmt.SAMPLES).read_bytes())
        invalid = json.loads((folder / fmt.INVALID).read_bytes())
        pictures = _check_pictures(folder, sizes)
        index = (folder / fmt.PROMPT_INDEX).read_bytes()
        last = fmt.decode_offset(index, len(ids))
        sound = (
            all(isinstance(each, str) for each in ids)
            and len(index) == (len(ids) + 1) * fmt.OFFSET_BYTES
            and last == sizes[fmt.PROMPTS]
            and all(0 <= int(key) < len(ids) for key in invalid)
            and all(isinstance(why, str) for why in invalid.values())
        )
        if not sound:
            raise damaged
        return Manifest(
            name=order.name,
            digest=order.digest,
            family=Family(told["family"]).value,
            cls=str(told["cls"]),
            type=str(told["type"]),
            sample_count=len(ids),
            invalid_count=len(invalid),
            picture_count=pictures,
            source_digest=order.source.sha256,
            source_md5=order.source.md5,
            source_bytes=order.source.size,
            localized=bool(told["localized"]),
            pictures=order.pictures,
            versions=dict(order.versions),
            parts=sizes,
            part_digests={part: _sha256(folder / part) for part in sizes},
            answers=bool(told["answers"]),
            least_limit=int(told["least_limit"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged from error


def _sizes(folder: Path) -> dict[str, int]:
    packs = sorted((folder / "packs").glob("*")) if (folder / "packs").exists() else []
    names = [*_PARTS, *(f"packs/{path.name}" for path in packs)]
    sizes = {}
    for number, name in enumerate(names):
        path = folder / name
        expected = fmt.pack_name(number - len(_PARTS))
        if path.is_symlink() or not path.is_file():
            raise ValueError(name)
        if number >= len(_PARTS) and not (_PACK.fullmatch(name) and name == expected):
            raise ValueError(name)
        sizes[name] = path.stat().st_size
    return sizes


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_pictures(folder: Path, sizes: Mapping[str, int]) -> int:
    """Every picture lies within its pack; returns how many distinct ones there are."""
    records = (folder / fmt.PICTURES).read_bytes()
    if len(records) % fmt.PICTURE_BYTES:
        raise ValueError(fmt.PICTURES)
    seen: set[str] = set()
    for number in range(len(records) // fmt.PICTURE_BYTES):
        stored = fmt.decode_picture(records, number)
        if not stored.length:
            continue
        if stored.offset + stored.length > sizes[fmt.pack_name(stored.pack)]:
            raise ValueError(fmt.PICTURES)
        seen.add(stored.digest)
    return len(seen)
