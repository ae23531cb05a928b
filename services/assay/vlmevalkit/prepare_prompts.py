"""Builds VLMEvalKit's own dataset object on a rewritten table and asks it for every prompt.

`prepare.py` calls it in the sealed child. Nothing is downloaded and no picture is written: where
upstream would write a picture's file, its name and its placeholder are noted.
"""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from traceback import walk_tb
from types import SimpleNamespace
from typing import Any

from assay.domain import catalog
from assay.domain.catalog import Family
from assay.domain.errors import DatasetError
from assay.domain.prepared import StoredRow, TextOrPicture
from assay.vlmevalkit.prepare_classes import family_of, has_answers, members_of
from assay.vlmevalkit.prepare_packs import Slot
from assay.vlmevalkit.prepare_table import spooled_number

Built = tuple[list[list[TextOrPicture]], StoredRow | None]
"""A sample's turns, and its row if rows are kept."""


@dataclass(slots=True)
class PromptBuilder:
    """The prompts of one dataset and the pictures they show.

    Attributes:
        name: VLMEvalKit's name of the dataset.
        localized: upstream would have written all pictures as JPEG first (files above 1 GiB).
        rows: keep each sample's row as well, for models that build their prompts themselves.
        slots: the pictures, in order of first use.
        answers: whether upstream scores it; known once it is built.
        least_limit: the fewest first rows that upstream can score; 0: any. Known once it is built.
    """

    name: str
    localized: bool
    rows: bool = False
    slots: list[Slot] = field(default_factory=list)
    answers: bool = True
    least_limit: int = 0
    _numbers: dict[Slot, int] = field(default_factory=dict)
    _files: dict[str, str] = field(default_factory=dict)
    _has_paths: bool = False

    def build(self) -> tuple[list[str], Iterator[Built]]:
        """The sample ids, and each one's turns and row, in the order of upstream's `dataset.data`.

        Raises:
            DatasetError: upstream cannot load the table, or its ids are not unique.
        """
        with self._noting_files():
            dataset = self._load()
        data = dataset.data
        self._has_paths = "image_path" in data
        ids = [str(index) for index in data["index"]]
        for member, own in _indices_by_member(self.name, data).items():
            _check_indices(member, own)
        self.answers = has_answers(self.name, data)
        self.least_limit = _least_limit(self.name, data) if self.answers else 0
        return ids, self._prompts(dataset, ids)

    def _load(self) -> Any:
        from vlmeval import dataset as upstream  # noqa: PLC0415 - only behind the shim

        for cls in upstream.DATASET_CLASSES:
            # Verified before, on the original; the rewritten table has other bytes.
            if isinstance(digests := getattr(cls, "DATASET_MD5", None), dict):
                for name in members_of(self.name):
                    digests.pop(name, None)
        try:
            dataset = upstream.build_dataset(self.name)
        except (Exception, SystemExit) as error:  # code in cells may raise anything
            raise _lost_reference(error) or DatasetError(
                f"VLMEvalKit cannot load {self.name}: {_text(error)}"
            ) from error
        if dataset is None or not len(dataset.data):
            raise DatasetError(
                f"{self.name} has no row with a picture",
                cure="fill the column `image` with base64 pictures",
            )
        return dataset

    def _prompts(self, dataset: Any, ids: Sequence[str]) -> Iterator[Built]:
        with self._noting_files():
            for (asking, line), sample_id in zip(_lines(dataset), ids, strict=True):
                try:
                    message = asking.build_prompt(line)
                    files = asking.dump_image(line) if self.rows else []
                except (Exception, SystemExit) as error:  # as above
                    raise DatasetError(
                        f"VLMEvalKit cannot build the prompt of sample {sample_id} of"
                        f" {self.name}: {_text(error)}"
                    ) from error
                turns = [
                    [self._part(part, sample_id) for part in turn]
                    for turn in _turns(dataset, message)
                ]
                yield turns, self._row(line, files, sample_id) if self.rows else None

    def _row(self, line: Mapping[str, Any], files: Any, sample_id: str) -> StoredRow:
        listed = files if isinstance(files, list) else [files]
        pictures = tuple(self._picture(path, sample_id) for path in listed)
        cells = {name: _plain(cell) for name, cell in line.items() if name != "image"}
        return StoredRow(json.dumps(cells, ensure_ascii=False), pictures)

    def _part(self, part: Mapping[str, Any], sample_id: str) -> TextOrPicture:
        value = part["value"]
        if not isinstance(value, str):
            raise DatasetError(
                f"the question of sample {sample_id} of {self.name} is no text: {value!r:.100}",
                cure="write words into every cell of the column `question`",
            )
        return value if part["type"] == "text" else self._picture(value, sample_id)

    def _picture(self, path: str, sample_id: str) -> int:
        extension = PurePosixPath(path).suffix
        if self.localized and not self._has_paths:
            extension = ".jpg"
        slot = Slot(self._spooled(path, sample_id), extension)
        if slot not in self._numbers:
            self._numbers[slot] = len(self.slots)
            self.slots.append(slot)
        return self._numbers[slot]

    def _spooled(self, path: str, sample_id: str) -> int:
        try:
            return spooled_number(self._files[path])
        except (KeyError, ValueError) as error:
            raise DatasetError(
                f"sample {sample_id} of {self.name} shows a picture that is not in the table:"
                f" {path!r:.200}"
            ) from error

    @contextmanager
    def _noting_files(self) -> Iterator[None]:
        """Upstream's picture files are names in a table: the first picture of a name stays, as there."""
        from vlmeval.dataset import image_base  # noqa: PLC0415 - only behind the shim
        from vlmeval.smp import file  # noqa: PLC0415

        def note(picture: str, path: str) -> None:
            self._files.setdefault(path, picture)

        changes: list[tuple[Any, str, Any]] = [
            (image_base, "read_ok", self._files.__contains__),
            (image_base, "decode_base64_to_image_file", note),
            # Collections write all their pictures when they are built, with a pool of processes.
            (file, "decode_base64_to_image_file", note),
            (file, "mp", SimpleNamespace(Pool=_OneByOne)),
        ]
        kept = [getattr(module, name) for module, name, _ in changes]
        for module, name, ours in changes:
            setattr(module, name, ours)
        try:
            yield
        finally:
            for (module, name, _), theirs in zip(changes, kept, strict=True):
                setattr(module, name, theirs)


def _lost_reference(error: BaseException) -> DatasetError | None:
    """What upstream's bare assertion about a short `image` cell is about; None: it is something else.

    Upstream says neither the row nor the reference, but has both at hand where it gives up.
    """
    *_, (frame, _) = walk_tb(error.__traceback__)
    at_hand = frame.f_locals
    if not isinstance(error, AssertionError) or not {"idx", "k", "self"} <= {*at_hand}:
        return None
    row, reference = str(at_hand["k"])[:100], str(at_hand["idx"])[:100]
    return DatasetError(
        f"VLMEvalKit cannot load {at_hand['self'].dataset_name}: the `image` cell of the row with"
        f" `index` {row!r} refers to row {reference!r}, and there is no such row with a picture of its"
        " own",
        cure="write base64 there, or, shortly, the `index` of a row with a picture",
    )


def _lines(dataset: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Every row, in order, with the dataset that asks about it.

    A collection would look its members' rows up by their ids, at four times the cost.
    """
    members = getattr(dataset, "dataset_map", {dataset.dataset_name: dataset})
    for member in members.values():
        for line in row_dicts(member.data):
            yield member, line


def row_dicts(data: Any) -> Iterator[dict[str, Any]]:
    """Every row as a dict, as `dict(data.iloc[row])` has it: upstream's classes take either.

    A Series for every row costs as much as encoding a small picture. Where a column holds text, as in
    every dataset with pictures, a Series keeps each cell as its column has it, and so does this.
    """
    names = list(data.columns)
    # An array gives the numbers that a Series does; a column's own iterator would give Python's.
    for cells in zip(*(data[name].to_numpy() for name in names), strict=True):
        yield dict(zip(names, cells, strict=True))


def _turns(dataset: Any, message: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What the user says turn by turn: a conversation is built with the answers that are expected."""
    if dataset.TYPE != "MT":
        return [message]
    return [said["content"] for said in message if said["role"] == "user"]


class _OneByOne:
    """A pool of processes that has none."""

    def __init__(self, _size: int) -> None:
        pass

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return [function(item) for item in items]

    def close(self) -> None:
        """Nothing was opened."""


def _indices_by_member(name: str, data: Any) -> dict[str, list[Any]]:
    """The `index` cells of each dataset in `data`, as its own file has them."""
    if "SUB_DATASET" not in data:
        return {name: list(data["index"])}
    found: dict[str, list[Any]] = {}
    pairs = zip(data["SUB_DATASET"], data["original_index"], strict=True)
    for member, index in pairs:
        found.setdefault(member, []).append(index)
    return found


def _check_indices(name: str, indices: Sequence[Any]) -> None:
    seen: set[str] = set()
    for sample_id in map(str, indices):
        if sample_id in seen:
            raise DatasetError(
                f"{name} has more than one row with `index` {sample_id[:100]!r}",
                cure="give every row an `index` of its own",
            )
        seen.add(sample_id)
    circular = family_of(name, "ImageMCQDataset") is Family.MCQ_CIRCULAR
    custom = members_of(name) == (name,) and catalog.lookup(name) is None
    odd = next((each for each in indices if not isinstance(each, int)), None)
    if circular and odd is not None:
        raise DatasetError(
            f"VLMEvalKit takes {name} for a dataset of rotated questions, whose `index` cells are"
            f" whole numbers, and one is {str(odd)[:100]!r}",
            cure="write whole numbers, or give a dataset of your own a name without mmbench, ccbench,"
            " circular and mmcr in it"
            if custom
            else "write whole numbers",
        )


def _least_limit(name: str, data: Any) -> int:
    """MMT-Bench is scored only where every kind of task has a row; 0: any rows do."""
    from vlmeval.dataset.utils.multiple_choice import (  # noqa: PLC0415 - behind the shim
        MMT_abbrs,
    )

    if family_of(name, "ImageMCQDataset") is not Family.MCQ_MMT:
        return 0
    missing = set(MMT_abbrs)
    for row, kind in enumerate(data.get("l2-category", ()), 1):
        missing.discard(kind)
        if not missing:
            return row
    return 0


def _plain(cell: Any) -> Any:
    """A cell as JSON has it: numbers of numpy as Python's; what is neither is shown as text."""
    if isinstance(cell, list):
        return [_plain(each) for each in cell]
    value = cell.item() if hasattr(cell, "item") else cell
    return value if isinstance(value, str | int | float | None) else str(value)


def _text(error: BaseException) -> str:
    printable = "".join(c for c in str(error)[:300] if c in string.printable)
    return f"{type(error).__name__}: {printable}"
