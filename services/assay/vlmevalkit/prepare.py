"""Prepares a dataset: from a verified TSV to prompts and pictures ready for the wire.

`dataset/child.py` runs it in a sealed process, because cells of a TSV are evaluated as Python by
upstream's loader. Three passes: the table is rewritten without its pictures, upstream builds the
prompts on it, the pictures are encoded and packed.
"""

from __future__ import annotations

import gc
import json
import os
import tarfile
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from assay.domain import prepared as fmt
from assay.domain.errors import DatasetError
from assay.domain.run import PicturePolicy
from assay.vlmevalkit.prepare_classes import (
    ChosenClass,
    choose_class,
    collection_class,
)
from assay.vlmevalkit.prepare_packs import PackWriter, write_pictures
from assay.vlmevalkit.prepare_prompts import PromptBuilder
from assay.vlmevalkit.prepare_table import Spool, rewrite_table

LOCALIZE_BYTES = 2**30
"""Above this upstream writes all pictures as JPEG before anything else."""

Progress = Callable[[str, int, int], None]
"""Told the stage (`table` in bytes, `pictures` in rows), what is done, of how much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareJob:
    """What to prepare into the parts of `fmt`, in `folder`.

    Attributes:
        sources: each dataset's file by its name: that of `name` alone, or those of its members.
    """

    name: str
    sources: Mapping[str, Path]
    folder: Path
    pictures: PicturePolicy
    localize_bytes: int = LOCALIZE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What the manifest says of the parts that were written."""

    family: str
    cls: str
    type: str
    sample_count: int
    invalid_count: int
    picture_count: int
    localized: bool
    answers: bool
    least_limit: int


def warm_up() -> None:
    """Imports all that `prepare` needs: afterwards a seal may close the file system."""
    import pandas as pd  # noqa: PLC0415 - with what follows
    import vlmeval.dataset  # noqa: F401, PLC0415 - only behind the shim

    # Cells are read one by one: Arrow would box each of them anew.
    pd.set_option("mode.string_storage", "python")
    # What is imported stays to the end; looking it through again and again frees nothing.
    gc.freeze()


def prepare(job: PrepareJob, progress: Progress) -> Prepared:
    """Runs the three passes; the shim is installed already, and nothing may be downloaded.

    Raises:
        DatasetError: the file is not usable; the message names what is wrong and the cure.
    """
    data_root = job.folder / "lmu"
    data_root.mkdir()
    os.environ["LMUData"] = str(data_root)  # noqa: SIM112 - upstream's own name
    sizes = [path.stat().st_size for path in job.sources.values()]
    localized = max(sizes) > job.localize_bytes
    spool_file = job.folder / "spool.bin"
    with spool_file.open("x+b") as stream:
        spool = Spool(stream)
        chosen = _write_tables(job, data_root, spool, progress)
        builder = PromptBuilder(job.name, localized, rows=job.pictures.files)
        ids, uses = _write_prompts(job.folder, builder)
        writer = PackWriter(job.folder)
        first = _first_uses(uses, len(builder.slots))

        def done(number: int) -> None:
            progress("pictures", first[number] + 1, len(ids))

        with (job.folder / fmt.PICTURES).open("xb") as records:
            refused = write_pictures(
                builder.slots,
                spool,
                job.pictures,
                writer=writer,
                records=records,
                done=done,
            )
        count = writer.close()
    spool_file.unlink()
    _keep_tables(job, data_root)
    invalid = {
        ordinal: refused[slot] for ordinal, slot in _pairs(uses) if slot in refused
    }
    (job.folder / fmt.SAMPLES).write_text(json.dumps(ids))
    (job.folder / fmt.INVALID).write_text(json.dumps(invalid))
    return Prepared(
        family=chosen.family.value,
        cls=chosen.name,
        type=chosen.type,
        sample_count=len(ids),
        invalid_count=len(invalid),
        picture_count=count,
        localized=localized,
        answers=builder.answers,
        least_limit=builder.least_limit,
    )


def _write_tables(
    job: PrepareJob, data_root: Path, spool: Spool, progress: Progress
) -> ChosenClass:
    """Rewrites the file of every dataset; returns the class of the whole."""
    size = sum(path.stat().st_size for path in job.sources.values())
    before = 0

    def tell(done: int, _of: int) -> None:
        progress("table", before + done, size)

    for name, source in job.sources.items():
        try:
            columns = rewrite_table(source, data_root / f"{name}.tsv", spool, tell)
        except DatasetError as error:
            raise DatasetError(
                f"cannot prepare dataset {name} from {source}: {error.message}",
                cure=error.cure,
            ) from error
        chosen = choose_class(name, columns)
        before += source.stat().st_size
    return chosen if list(job.sources) == [job.name] else collection_class()


def _keep_tables(job: PrepareJob, data_root: Path) -> None:
    """The table as a part: a dataset's own, or an archive of its members' in their order."""
    tables = [data_root / f"{name}.tsv" for name in job.sources]
    if list(job.sources) == [job.name]:
        tables[0].rename(job.folder / fmt.TABLE)
        return
    with tarfile.open(job.folder / fmt.TABLE, "x:") as archive:
        for table in tables:
            # Nothing but names and bytes, so that equal tables make equal archives.
            entry = tarfile.TarInfo(table.name)
            entry.size = table.stat().st_size
            with table.open("rb") as stream:
                archive.addfile(entry, stream)


def _write_prompts(
    folder: Path, builder: PromptBuilder
) -> tuple[list[str], array[int]]:
    """Writes the prompts and their index; returns the ids, and who uses which picture, in pairs."""
    uses = array("Q")
    offset = 0
    with (
        (folder / fmt.PROMPTS).open("xb") as prompts,
        (folder / fmt.PROMPT_INDEX).open("xb") as index,
    ):
        ids, conversations = builder.build()
        index.write(fmt.encode_offset(0))
        for ordinal, (turns, row) in enumerate(conversations):
            for part in (part for turn in turns for part in turn):
                if isinstance(part, int):
                    uses.extend((ordinal, part))
            for picture in row.pictures if row else ():
                uses.extend((ordinal, picture))
            offset += prompts.write(fmt.encode_prompt(turns, row))
            index.write(fmt.encode_offset(offset))
    return ids, uses


def _pairs(uses: array[int]) -> list[tuple[int, int]]:
    return list(zip(uses[::2], uses[1::2], strict=True))


def _first_uses(uses: array[int], slots: int) -> array[int]:
    first = array("Q", bytes(8 * slots))
    for ordinal, slot in reversed(_pairs(uses)):
        first[slot] = ordinal
    return first
