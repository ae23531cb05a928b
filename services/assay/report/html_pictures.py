"""The pictures that lie beside a page, each in a file of its own; `html` names them, `page` writes them.

A page cannot show a part of a file, so pictures leave their packs. Each is written once, however many
samples and models it was shown for, and only while there is room in a budget: those of samples without
a right answer first, because they are what one looks at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.domain.errors import CorruptError
from assay.domain.prompt import PicturePart
from assay.report.html_samples import RIGHT, UNJUDGED, Numbered, SampleTable
from assay.store.objects import ObjectStore

BUDGET_BYTES = 1_000_000_000
"""For the pictures of one page, unless the user wants all."""

_READ_BYTES = 8 * 1024 * 1024
"""Read at once: opening a pack for every picture would cost more than copying them."""

_NAME = 32
"""Hexadecimal digits of a picture's digest that name its file: enough that none meets another's."""


@dataclass(frozen=True, slots=True)
class Album:
    """The pictures of a page.

    Attributes:
        pictures: name -> where its bytes stand; these lie beside the page.
        left_out: pictures for which there was no room.
    """

    pictures: Mapping[str, PicturePart]
    left_out: int

    def numbered(self, table: SampleTable) -> Numbered | None:
        """The pictures of a table's samples as the page holds them; None: nothing is known of them."""
        if not table.pictures:
            return None
        numbers: dict[str, int] = {}
        names: list[str | None] = []
        of = []
        for parts in table.pictures:
            for part in parts:
                if part.digest not in numbers:
                    numbers[part.digest] = len(names)
                    name = _name(part)
                    names.append(name if name in self.pictures else None)
            of.append([numbers[part.digest] for part in parts])
        return Numbered(names, of)

    def write(self, folder: Path, store: ObjectStore) -> None:
        """Writes the pictures that are not there yet; `path_of` says where.

        Raises:
            CorruptError: the dataset ends before a picture does.
            NotFoundError, StoreUnavailableError: the store's dataset is gone, or does not answer.
            OSError: they cannot be written.
        """
        there = _sizes(folder)
        missing = {
            name: part
            for name, part in self.pictures.items()
            if there.get(name) != part.length
        }
        for shelf in {name[:2] for name in missing}:
            (folder / shelf).mkdir(parents=True, exist_ok=True)
        for run in _runs(missing):
            start = run[0][1].offset
            _, last = run[-1]
            data = store.get_range(last.key, start, last.offset + last.length - start)
            for name, part in run:
                at = part.offset - start
                picture = data[at : at + part.length]
                if len(picture) != part.length:
                    raise CorruptError(
                        f"cannot read a picture in {part.key}: it ends early"
                    )
                (folder / path_of(name)).write_bytes(picture)


def _runs(
    pictures: Mapping[str, PicturePart],
) -> Iterator[list[tuple[str, PicturePart]]]:
    """Pictures that are read together: neighbours in a pack, of a few megabytes."""
    ordered = sorted(pictures.items(), key=lambda item: (item[1].key, item[1].offset))
    run: list[tuple[str, PicturePart]] = []
    for name, part in ordered:
        if run:
            first = run[0][1]
            end = part.offset + part.length
            if part.key != first.key or end - first.offset > _READ_BYTES:
                yield run
                run = []
        run.append((name, part))
    if run:
        yield run


def album(tables: Sequence[SampleTable], budget: int | None) -> Album:
    """The pictures to lie beside a page, of at most `budget` bytes together; None: all."""
    chosen: dict[str, PicturePart] = {}
    left_out: set[str] = set()
    room = budget
    for part in _as_wanted(tables):
        name = _name(part)
        if name in chosen or part.length == 0:
            continue
        if room is not None and part.length > room:
            left_out.add(name)
            continue
        chosen[name] = part
        room = None if room is None else room - part.length
    return Album(chosen, len(left_out))


def _as_wanted(tables: Sequence[SampleTable]) -> Iterator[PicturePart]:
    """Every picture of every sample, those without a right answer first."""
    for later in (False, True):
        for table in tables:
            pairs = zip(table.verdicts, table.pictures, strict=False)
            for verdict, parts in pairs:
                if (verdict in {RIGHT, UNJUDGED}) is later:
                    yield from parts


def path_of(name: str) -> str:
    """Where a picture lies in the page's folder of pictures; the page's script knows it too."""
    return f"{name[:2]}/{name[2:]}.jpg"


def _name(part: PicturePart) -> str:
    return part.digest[:_NAME]


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes of every picture that lies there; what was cut off while it was written has too few."""
    found = {}
    shelves = [entry for entry in _entries(folder) if entry.is_dir()]
    for shelf in shelves:
        for entry in _entries(Path(shelf.path)):
            size = entry.stat(follow_symlinks=False).st_size
            found[shelf.name + entry.name.removesuffix(".jpg")] = size
    return found


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
