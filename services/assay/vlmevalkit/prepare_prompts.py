"""Builds VLMEvalKit's own dataset object on a rewritten table and asks it for every prompt.

`prepare.py` calls it in the sealed child. Nothing is downloaded and no picture is written: where
upstream would write a picture's file, its name and its placeholder are noted.
"""

from __future__ import annotations

import string
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from assay.domain.catalog import Family
from assay.domain.errors import DatasetError
from assay.domain.prepared import TextOrPicture
from assay.vlmevalkit.prepare_packs import Slot
from assay.vlmevalkit.prepare_table import spooled_number

_FAMILIES: Mapping[str, Family] = {
    "ImageMCQDataset": Family.MCQ,
    "CustomMCQDataset": Family.MCQ,
    "ImageYORNDataset": Family.YES_NO,
    "ImageVQADataset": Family.VQA,
}
_NEEDED = ("index", "image", "question", "answer")
_NEEDED_BY_NAME: Mapping[str, tuple[str, ...]] = {
    "MME": ("category", "image_path"),
    "POPE": ("category",),
    "HallusionBench": ("l2-category",),
}
_CIRCULAR_WORDS = ("mmbench", "ccbench", "circular", "mmcr")
_OTHER_SCORERS = ("MMT", "MMSci", "MMVP")


@dataclass(frozen=True, slots=True)
class ChosenClass:
    """Upstream's class for a dataset, and our word for how it is scored."""

    name: str
    type: str
    family: Family


def choose_class(name: str, columns: Collection[str]) -> ChosenClass:
    """The class upstream takes for a table with these columns, without building it.

    Raises:
        DatasetError: a column is missing, or the class is not supported yet.
    """
    from vlmeval import dataset as upstream  # noqa: PLC0415 - only behind the shim

    known = [
        cls for cls in upstream.DATASET_CLASSES if name in cls.supported_datasets()
    ]
    options = {"A", "B"} <= set(columns)
    custom = "CustomMCQDataset" if options else "CustomVQADataset"
    chosen = known[0].__name__ if known else custom
    _check_columns(name, columns, _NEEDED_BY_NAME.get(name, ()))
    if chosen == "CustomVQADataset":
        raise DatasetError(
            f"{name} is none of VLMEvalKit's names and has no columns `A` and `B`: such a table"
            " has no scorer upstream",
            cure="give it options in columns A, B, ..., or the name of a VLMEvalKit dataset",
        )
    family = _FAMILIES.get(chosen)
    if family is None:
        raise DatasetError(
            f"{name} needs VLMEvalKit's {chosen}, which comes later",
            cure="use a plain multiple-choice, yes/no or VQA dataset until then",
        )
    if family is Family.MCQ and _scored_otherwise(name):
        raise DatasetError(
            f"VLMEvalKit scores every dataset with such a name as {name} has in a special way"
            " (rotated or grouped questions), which comes later",
            cure="give a dataset of your own a name without mmbench, ccbench, circular, mmcr, MMT,"
            " MMSci and MMVP in it",
        )
    types = {Family.MCQ: "MCQ", Family.YES_NO: "Y/N", Family.VQA: "VQA"}
    return ChosenClass(chosen, types[family], family)


def _scored_otherwise(name: str) -> bool:
    circular = any(word in name.lower() for word in _CIRCULAR_WORDS)
    return circular or any(word in name for word in _OTHER_SCORERS)


def _check_columns(name: str, columns: Collection[str], more: Sequence[str]) -> None:
    for column in (*_NEEDED, *more):
        if column in columns:
            continue
        other = next((c for c in columns if c.lower().strip() == column.lower()), None)
        cure = f"add a column `{column}` to the table"
        if other is not None:
            cure = f"write the column `{other}` as `{column}`"
        elif column == "image" and "image_path" in columns:
            cure = "put the pictures into a column `image` as base64; files beside the table come later"
        found = ", ".join(f"`{c[:40]}`" for c in list(columns)[:12])
        raise DatasetError(
            f"{name} has no column `{column}` (found: {found})", cure=cure
        )


@dataclass(slots=True)
class PromptBuilder:
    """The prompts of one dataset and the pictures they show.

    Attributes:
        name: VLMEvalKit's name of the dataset.
        localized: upstream would have written all pictures as JPEG first (files above 1 GiB).
        slots: the pictures, in order of first use.
    """

    name: str
    localized: bool
    slots: list[Slot] = field(default_factory=list)
    _numbers: dict[Slot, int] = field(default_factory=dict)
    _files: dict[str, str] = field(default_factory=dict)
    _has_paths: bool = False

    def build(self) -> tuple[list[str], Iterator[list[TextOrPicture]]]:
        """The sample ids, and each one's turn, in the order of upstream's `dataset.data`.

        Raises:
            DatasetError: upstream cannot load the table, or its ids are not unique.
        """
        dataset = self._load()
        data = dataset.data
        self._has_paths = "image_path" in data
        ids = [str(index) for index in data["index"]]
        _check_unique(self.name, ids)
        return ids, self._prompts(dataset, ids)

    def _load(self) -> Any:
        from vlmeval import dataset as upstream  # noqa: PLC0415 - only behind the shim

        for cls in upstream.DATASET_CLASSES:
            # Verified before, on the original; the rewritten table has other bytes.
            if isinstance(digests := getattr(cls, "DATASET_MD5", None), dict):
                digests.pop(self.name, None)
        try:
            dataset = upstream.build_dataset(self.name)
        except AssertionError as error:
            raise DatasetError(
                f"VLMEvalKit cannot load {self.name}: an `image` cell refers to a row that does not"
                " exist or has no picture of its own",
                cure="a short `image` cell must be the `index` of a row with a picture",
            ) from error
        except (Exception, SystemExit) as error:  # code in cells may raise anything
            raise DatasetError(
                f"VLMEvalKit cannot load {self.name}: {_text(error)}"
            ) from error
        if dataset is None or not len(dataset.data):
            raise DatasetError(
                f"{self.name} has no row with a picture",
                cure="fill the column `image` with base64 pictures",
            )
        return dataset

    def _prompts(
        self, dataset: Any, ids: Sequence[str]
    ) -> Iterator[list[TextOrPicture]]:
        with self._noting_files():
            for row, sample_id in enumerate(ids):
                try:
                    message = dataset.build_prompt(dataset.data.iloc[row])
                except (Exception, SystemExit) as error:  # as above
                    raise DatasetError(
                        f"VLMEvalKit cannot build the prompt of sample {sample_id} of"
                        f" {self.name}: {_text(error)}"
                    ) from error
                yield [self._part(part, sample_id) for part in message]

    def _part(self, part: Mapping[str, Any], sample_id: str) -> TextOrPicture:
        value = part["value"]
        if not isinstance(value, str):
            raise DatasetError(
                f"the question of sample {sample_id} of {self.name} is no text: {value!r:.100}",
                cure="write words into every cell of the column `question`",
            )
        if part["type"] == "text":
            return value
        extension = PurePosixPath(value).suffix
        if self.localized and not self._has_paths:
            extension = ".jpg"
        slot = Slot(self._spooled(value, sample_id), extension)
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

        def note(picture: str, path: str) -> None:
            self._files[path] = picture

        kept = image_base.read_ok, image_base.decode_base64_to_image_file
        image_base.read_ok = self._files.__contains__
        image_base.decode_base64_to_image_file = note
        try:
            yield
        finally:
            image_base.read_ok, image_base.decode_base64_to_image_file = kept


def _check_unique(name: str, ids: Sequence[str]) -> None:
    seen: set[str] = set()
    for sample_id in ids:
        if sample_id in seen:
            raise DatasetError(
                f"{name} has more than one row with `index` {sample_id[:100]!r}",
                cure="give every row an `index` of its own",
            )
        seen.add(sample_id)


def _text(error: BaseException) -> str:
    printable = "".join(c for c in str(error)[:300] if c in string.printable)
    return f"{type(error).__name__}: {printable}"
