"""What is prepared for local models beside what upstream hands to them; run as a program.

`python upstream_rows.py FOLDER NAME` prepares `FOLDER/NAME.tsv` and prints, as one JSON line, every row: its
cells, and the sha256 of the files that it names, of both sides. Its own process, because of the shim.
"""

# ruff: noqa: PLC0415, SIM112 - imports come behind the shim; LMUData is upstream's own name
from __future__ import annotations

import hashlib
import json
import os
import sys
import warnings
from pathlib import Path

from assay.domain import prepared as fmt
from assay.domain.run import PicturePolicy
from assay.vlmevalkit import shim


def main(folder: Path, name: str) -> None:
    shim.install()
    warnings.simplefilter("ignore")
    source = folder / f"{name}.tsv"
    told = {"ours": _ours(folder / "ours", name, source), "theirs": []}
    told["theirs"] = _theirs(folder / "theirs", name, source)
    sys.stdout.write("\n" + json.dumps(told) + "\n")


def _ours(folder, name, source):
    from assay.vlmevalkit.prepare import PrepareJob, prepare

    folder.mkdir()
    policy = PicturePolicy(files=True)
    job = PrepareJob(name=name, sources={name: source}, folder=folder, pictures=policy)
    prepare(job, lambda *_told: None)
    index = (folder / fmt.PROMPT_INDEX).read_bytes()
    prompts = (folder / fmt.PROMPTS).read_bytes()
    pictures = (folder / fmt.PICTURES).read_bytes()
    rows = []
    for ordinal in range(len(json.loads((folder / fmt.SAMPLES).read_text()))):
        start, end = (fmt.decode_offset(index, ordinal + n) for n in (0, 1))
        (turn,), row = fmt.decode_record(prompts[start:end])
        files = [fmt.decode_picture(pictures, each).digest for each in row.pictures]
        text = [part for part in turn if isinstance(part, str)]
        rows.append([json.loads(row.cells), files, text])
    return rows


def _theirs(folder, name, source):
    from vlmeval import dataset as upstream

    folder.mkdir()
    os.environ["LMUData"] = str(folder)
    (folder / source.name).write_bytes(source.read_bytes())
    dataset = upstream.build_dataset(name)
    rows = []
    for number in range(len(dataset.data)):
        line = dataset.data.iloc[number]
        files = [
            hashlib.sha256(Path(path).read_bytes()).hexdigest()
            for path in dataset.dump_image(line)
        ]
        message = dataset.build_prompt(line)
        text = [part["value"] for part in message if part["type"] == "text"]
        cells = {k: _plain(v) for k, v in line.items() if k != "image"}
        rows.append([cells, files, text])
    return rows


def _plain(cell):
    return cell.item() if hasattr(cell, "item") else cell


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
