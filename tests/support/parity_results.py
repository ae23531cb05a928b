"""What Assay and the peer left behind, read from their files, and how it is compared.

The parity tests call it; `parity` runs what it reads.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import openpyxl
import pyarrow.parquet as pq

from support.awkward_tsvs import COLLECTIONS
from support.parity_endpoint import ParityEndpoint
from support.peer_environment import PeerRun

Samples = list[tuple[str, object]]
"""Sample id and what there is to say about it, in the order of a file."""

_DIGEST = re.compile(r"sha256=[0-9a-f]{64}")
_PICTURE_ROOT = re.compile(r"[\w./-]*?\bimages/")


@dataclass(frozen=True)
class AssayRun:
    """What one `assay run` left behind."""

    folder: Path
    code: int
    said: str

    def task(self, dataset: str) -> Mapping[str, object]:
        """The report's entry for one dataset of the first model."""
        tasks = json.loads((self.folder / "report.json").read_text())["tasks"]
        return next(task for task in tasks if task["dataset"] == dataset)


@dataclass(frozen=True, eq=False)
class Both:
    """The two sides after they ran on the same datasets. All is about the first model."""

    peer: PeerRun
    assay: AssayRun
    endpoint: ParityEndpoint

    @cached_property
    def key(self) -> str:
        """What upstream and Assay call the model in paths."""
        return str(self.peer.facts["model_name"])

    @cache  # noqa: B019 - a test module reads the same files many times
    def told(self, dataset: str) -> Mapping[str, object]:
        """The peer's own account: predictions, verdicts, groups."""
        path = self.peer.folder / f"{self.key}.{dataset}.json"
        return json.loads(path.read_text())

    @cache  # noqa: B019 - a test module reads the same files many times
    def samples(self, dataset: str) -> list[Mapping[str, object]]:
        """The rows of Assay's sample table."""
        path = self.assay.folder / "samples" / self.key / f"{dataset}.parquet"
        return pq.read_table(path).to_pylist()

    def column(self, dataset: str, name: str) -> Samples:
        """One column of Assay's sample table, beside the sample ids."""
        return [(row["sample_id"], row[name]) for row in self.samples(dataset)]

    def peer_predictions(self, dataset: str) -> Samples:
        """What the peer took for the model's answers, before the spreadsheet, in its order."""
        return [(index, text) for index, text in self.told(dataset)["predictions"]]

    @cache  # noqa: B019 - a test module reads the same files many times
    def peer_files(self, dataset: str, folder: str = "") -> dict[str, object]:
        """The content of the peer's files of one dataset by name, without pickles."""
        found = (self.peer.folder / folder / self.key).iterdir()
        return {
            path.name: content(path)
            for path in found
            if path.suffix != ".pkl" and self._owner(path.name) == dataset
        }

    @cache  # noqa: B019 - a test module reads the same files many times
    def files(self, dataset: str) -> dict[str, object]:
        """The content of the files that Assay's report names as upstream's, by name."""
        named = self.assay.task(dataset)["files"]
        paths = [self.assay.folder / str(name) for name in named]
        return {path.name: content(path) for path in paths}

    @cache  # noqa: B019 - a test module reads the same files many times
    def asked(self, who: str, dataset: str) -> Mapping[str, list[object]]:
        """The distinct bodies one side sent about each row of a dataset."""
        found: dict[str, list[object]] = {}
        for part in COLLECTIONS.get(dataset, (dataset,)):
            found |= self.endpoint.asked(who, f"{part}-")
        return found

    def figures(self, dataset: str) -> dict[tuple[str, str], object]:
        """The values in Assay's report, by split and name."""
        metrics = self.assay.task(dataset)["metrics"]
        return {(m["split"], m["name"]): m["value"] for m in metrics}

    def peer_figures(self, dataset: str) -> dict[tuple[str, str], object]:
        """What upstream's evaluate() returned, by split and column; an empty cell is None."""
        scores = self.told(dataset)["scores"]
        found: dict[tuple[str, str], object] = {}
        for cells in scores if isinstance(scores, list) else [_numbered(scores)]:
            record = dict(cells)
            member, split = record.pop("DATASET", ""), record.pop("split", "none")
            place = f"{member}:{split}" if member else split
            for name, value in record.items():
                found[place, name] = None if value != value else value  # noqa: PLR0124
        return found

    def rotations(self, dataset: str) -> dict[str, list[object]]:
        """The scores of each question's rotations in Assay's table, by the first one's sample id."""
        scores = dict(self.column(dataset, "score"))
        found: dict[str, list[object]] = {}
        for first, others in self.told(dataset)["rotations"].items():
            found[first] = [scores[sample_id] for sample_id in others]
        return found

    def line(self, dataset: str) -> tuple[str, bool]:
        """What a reader is told about one dataset, and whether all of it is equal."""
        theirs = (self.asked("peer", dataset), self.told(dataset)["verdicts"])
        ours = (self.asked("assay", dataset), dict(self.column(dataset, "score")))
        tables, expected = self.files(dataset), self.peer_files(dataset)
        figures, rows = self.peer_figures(dataset), len(theirs[1])
        counts = {
            "requests": (_same(_texts(ours[0]), _texts(theirs[0])), rows),
            "pictures": (_same(_pictures(ours[0]), _pictures(theirs[0])), rows),
            "verdicts": (_same(ours[1], theirs[1]), rows),
            "files": (_same(tables, expected), len(expected)),
            "figures": (_same(self.figures(dataset), figures), len(figures)),
        }
        told = ", ".join(f"{n}/{of} {what} equal" for what, (n, of) in counts.items())
        return f"{rows} rows, {told}", all(n == of for n, of in counts.values())

    def _owner(self, file: str) -> str:
        """The dataset a file belongs to: the longest name it begins with, or that one's collection."""
        owners = {}
        for dataset in self.peer.facts["datasets"]:
            for part in (dataset, *COLLECTIONS.get(dataset, ())):
                if re.match(rf"{re.escape(f'{self.key}_{part}')}[._]", file):
                    owners[part] = dataset
        return owners[max(owners, key=len)] if owners else ""


def content(path: Path) -> object:
    """A result file by content: an xlsx file carries the time it was made.

    Where a file says where pictures lie, only the path below `images/` counts: the folder above is each
    side's own.
    """
    if path.suffix == ".xlsx":
        book = openpyxl.load_workbook(path)
        try:
            return {
                sheet.title: [
                    [_placed(cell) for cell in row]
                    for row in sheet.iter_rows(values_only=True)
                ]
                for sheet in book.worksheets
            }
        finally:
            book.close()
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as stream:
            return list(csv.reader(stream))
    return path.read_bytes()


def _placed(cell: object) -> object:
    return _PICTURE_ROOT.sub("images/", cell) if isinstance(cell, str) else cell


def _numbered(scores: Mapping[str, object]) -> dict[str, object]:
    """A figure that is a list is as many figures."""
    found: dict[str, object] = {}
    for name, value in (scores or {}).items():
        if isinstance(value, list):
            found |= {f"{name}_{n}": each for n, each in enumerate(value, 1)}
        else:
            found[name] = value
    return found


def _same(ours: Mapping[str, object], theirs: Mapping[str, object]) -> int:
    return sum(key in ours and ours[key] == value for key, value in theirs.items())


def _texts(bodies: Mapping[str, list[object]]) -> Mapping[str, object]:
    return {
        tag: _DIGEST.sub("", json.dumps(found, sort_keys=True))
        for tag, found in bodies.items()
    }


def _pictures(bodies: Mapping[str, list[object]]) -> Mapping[str, object]:
    return {tag: _DIGEST.findall(json.dumps(found)) for tag, found in bodies.items()}
