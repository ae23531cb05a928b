"""Prepares a dataset: from a verified TSV to prompts and pictures ready for the wire.

`dataset/child.py` runs it in a sealed process, because cells of a TSV are evaluated as Python by
upstream's loader. Three passes: the table is rewritten without its pictures, upstream builds the
prompts on it, the pictures are encoded and packed.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from assay.domain import prepared as fmt
from assay.domain.run import PicturePolicy
from assay.vlmevalkit.prepare_packs import PackWriter, write_pictures
from assay.vlmevalkit.prepare_prompts import PromptBuilder, choose_class
from assay.vlmevalkit.prepare_table import Spool, rewrite_table

LOCALIZE_BYTES = 2**30
"""Above this upstream writes all pictures as JPEG before anything else."""

Progress = Callable[[str, int, int], None]
"""Told the stage (`table` in bytes, `pictures` in rows), what is done, of how much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareJob:
    """What to prepare: `source` into the parts of `fmt`, in `folder`."""

    name: str
    source: Path
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


def warm_up() -> None:
    """Imports all that `prepare` needs: afterwards a seal may close the file system."""
    import vlmeval.dataset  # noqa: F401, PLC0415 - only behind the shim


def prepare(job: PrepareJob, progress: Progress) -> Prepared:
    """Runs the three passes; the shim is installed already, and nothing may be downloaded.

    Raises:
        DatasetError: the file is not usable; the message names what is wrong and the cure.
    """
    data_root = job.folder / "lmu"
    data_root.mkdir()
    os.environ["LMUData"] = str(data_root)  # noqa: SIM112 - upstream's own name
    table = data_root / f"{job.name}.tsv"
    localized = job.source.stat().st_size > job.localize_bytes
    spool_file = job.folder / "spool.bin"
    with spool_file.open("x+b") as stream:
        spool = Spool(stream)
        columns = rewrite_table(
            job.source, table, spool, lambda done, of: progress("table", done, of)
        )
        chosen = choose_class(job.name, columns)
        builder = PromptBuilder(job.name, localized)
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
    table.rename(job.folder / fmt.TABLE)
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
    )


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
        ids, turns = builder.build()
        index.write(fmt.encode_offset(0))
        for ordinal, turn in enumerate(turns):
            for part in turn:
                if isinstance(part, int):
                    uses.extend((ordinal, part))
            offset += prompts.write(fmt.encode_prompt([turn]))
            index.write(fmt.encode_offset(offset))
    return ids, uses


def _pairs(uses: array[int]) -> list[tuple[int, int]]:
    return list(zip(uses[::2], uses[1::2], strict=True))


def _first_uses(uses: array[int], slots: int) -> array[int]:
    first = array("Q", bytes(8 * slots))
    for ordinal, slot in reversed(_pairs(uses)):
        first[slot] = ordinal
    return first
