"""Collections: several datasets in one, scored by upstream member by member.

The table of a collection is an uncompressed tar of its members' prepared tables, in upstream's order.
Scoring unpacks it behind the seal and lets upstream put the collection together; it then watches which
member upstream evaluates, because rows are numbered per member there.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from assay.domain.errors import ScorerError
from assay.vlmevalkit.scoring_recorder import Recorder

PICTURES_ROOT = "LMUData/images"
"""Where upstream's prediction files say that the pictures of a collection lie, with no folder above."""


def unpack(dataset: str, folder: Path) -> None:
    """Puts the members' tables into `folder`; does nothing where `dataset` is no collection.

    Raises:
        ScorerError: the file is no tar of just these tables.
    """
    from vlmeval.dataset import ConcatDataset  # noqa: PLC0415 - only behind the shim

    members = ConcatDataset.DATASET_SETS.get(dataset)
    if members is None:
        return
    packed = folder / f"{dataset}.tsv"
    expected = [f"{member}.tsv" for member in members]
    try:
        with tarfile.open(packed, "r:") as archive:
            entries = archive.getmembers()
            plain = [entry.name for entry in entries if entry.isreg()]
            if plain != expected or len(entries) != len(expected):
                found = [entry.name for entry in entries]
                raise ScorerError(
                    f"the table of {dataset} holds {', '.join(found)} instead of"
                    f" {', '.join(expected)}",
                    cure="prepare the dataset again and start a new run",
                )
            for entry in entries:
                _copy(archive, entry, folder / entry.name)
    except (tarfile.TarError, OSError) as error:
        raise ScorerError(
            f"the table of {dataset} is no archive of its members' tables: {error}",
            cure="prepare the dataset again and start a new run",
        ) from error
    packed.unlink()


def _copy(archive: tarfile.TarFile, entry: tarfile.TarInfo, target: Path) -> None:
    source = archive.extractfile(entry)
    assert source is not None
    with source, target.open("xb") as stream:
        shutil.copyfileobj(source, stream)


def install() -> None:
    """Replaces upstream's writing of pictures: there are none here, only where they would lie."""
    from vlmeval import dataset as upstream  # noqa: PLC0415 - only behind the shim

    upstream.localize_df = _localize


def _localize(data: Any, dname: str, nproc: int = 32) -> Any:  # noqa: ARG001 - upstream's signature
    """Upstream's `localize_df` without files: `image` goes, `image_path` says where each would lie."""
    from vlmeval.smp import toliststr  # noqa: PLC0415 - only behind the shim

    pictures = [len(toliststr(cell)) for cell in data.pop("image")]
    if "image_path" not in data:
        root = f"{PICTURES_ROOT}/{dname}"
        data["image_path"] = [
            _paths(root, str(index), count)
            for index, count in zip(data["index"], pictures, strict=True)
        ]
    return data


def _paths(root: str, index: str, count: int) -> str | list[str]:
    if count == 1:
        return f"{root}/{index}.jpg"
    return [f"{root}/{index}_{number}.jpg" for number in range(count)]


def watch(dataset: Any, table: Any, recorder: Recorder) -> None:
    """Lets `recorder` know which member upstream evaluates, and what came of it."""
    members = getattr(dataset, "dataset_map", None)
    if not isinstance(members, dict):
        return
    rows: dict[str, list[int]] = {name: [] for name in members}
    for row, name in enumerate(table["SUB_DATASET"]):
        rows[name].append(row)
    recorder.rows_of = rows
    for name, member in members.items():
        member.evaluate = _watched(member.evaluate, name, rows[name], recorder)


def _watched(
    evaluate: Callable[..., Any], name: str, rows: Sequence[int], recorder: Recorder
) -> Callable[..., Any]:
    def watched(eval_file: str, **settings: Any) -> Any:
        recorder.places = rows
        try:
            scores = evaluate(eval_file, **settings)
        finally:
            recorder.places = None
        recorder.members[name] = (eval_file, scores.copy())
        return scores

    return watched
