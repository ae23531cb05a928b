"""Upstream's own prompts and pictures beside ours, for the same tables; run as a program.

`python upstream_prompts.py FOLDER` reads `FOLDER/jobs.json` and prints one JSON line per job: for every
row its id, upstream's parts and ours, pictures by sha256. `table` of a job is a file, or for a
collection the file of each member by its name. A process of its own, because the shim replaces
modules that other tests need.
"""

# ruff: noqa: PLC0415, SIM112 - imports come behind the shim; LMUData is upstream's own name
from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

from assay.domain import prepared as fmt
from assay.domain.run import PicturePolicy
from assay.vlmevalkit import shim


def main(folder: Path) -> None:
    shim.install()
    warnings.simplefilter("ignore")
    for number, job in enumerate(json.loads((folder / "jobs.json").read_text())):
        name, policy = job["name"], PicturePolicy(**job["policy"])
        table = job["table"]
        files = table if isinstance(table, dict) else {name: table}
        sources = {member: folder / path for member, path in files.items()}
        ours = _ours(folder / f"ours{number}", name, sources, policy, job["localize"])
        theirs = _theirs(folder / f"theirs{number}", name, sources, policy, job)
        sys.stdout.write("\n" + json.dumps({"ours": ours, "theirs": theirs}) + "\n")


def _ours(folder, name, sources, policy, localize):
    from assay.vlmevalkit.prepare import PrepareJob, prepare

    folder.mkdir()
    job = PrepareJob(
        name=name,
        sources=sources,
        folder=folder,
        pictures=policy,
        localize_bytes=0 if localize else 2**30,
    )
    prepare(job, lambda *_told: None)
    ids = json.loads((folder / fmt.SAMPLES).read_text())
    invalid = json.loads((folder / fmt.INVALID).read_text())
    index = (folder / fmt.PROMPT_INDEX).read_bytes()
    prompts = (folder / fmt.PROMPTS).read_bytes()
    pictures = (folder / fmt.PICTURES).read_bytes()
    rows = []
    for ordinal, sample_id in enumerate(ids):
        start, end = (fmt.decode_offset(index, ordinal + n) for n in (0, 1))
        (turn,) = fmt.decode_prompt(prompts[start:end])
        parts = [_part(folder, part, pictures) for part in turn]
        rows.append([sample_id, invalid.get(str(ordinal)) or parts])
    return rows


def _part(folder, part, pictures):
    if isinstance(part, str):
        return part
    stored = fmt.decode_picture(pictures, part)
    if not stored.length:
        return None
    pack = (folder / fmt.pack_name(stored.pack)).read_bytes()
    data = pack[stored.offset : stored.offset + stored.length]
    assert hashlib.sha256(data).hexdigest() == stored.digest
    return {"picture": stored.digest}


def _theirs(folder, name, sources, policy, job):
    from vlmeval import dataset as upstream
    from vlmeval.api.gpt import CustomAPIModel
    from vlmeval.smp import file

    folder.mkdir()
    os.environ["LMUData"] = str(folder)
    for member, source in sources.items():
        (folder / f"{member}.tsv").write_bytes(source.read_bytes())
        for cls in upstream.DATASET_CLASSES:
            if isinstance(digests := getattr(cls, "DATASET_MD5", None), dict):
                digests.pop(member, None)
    # Upstream starts 32 processes for this; the files are the same.
    file.mp.Pool = _SerialPool
    with _files_of(2.0 if job["localize"] else 0.0):
        dataset = upstream.build_dataset(name)
    model = CustomAPIModel(
        "m",
        api_base="http://127.0.0.1:9",
        key="k",
        img_size=policy.img_size,
        max_file_size=policy.max_file_size,
    )
    return [
        [str(dataset.data.iloc[n]["index"]), _request(dataset, model, n)]
        for n in range(len(dataset.data))
    ]


class _SerialPool:
    def __init__(self, _size):
        pass

    def map(self, function, items):
        return [function(item) for item in items]

    def close(self):
        pass


@contextmanager
def _files_of(gigabytes):
    """Lets upstream take every file for one of this size."""
    from vlmeval.dataset import image_base, image_mcq

    kept = image_base.file_size
    image_base.file_size = image_mcq.file_size = lambda _path, _unit: gigabytes
    yield
    image_base.file_size = image_mcq.file_size = kept


def _request(dataset, model, row):
    try:
        prompt = dataset.build_prompt(dataset.data.iloc[row])
        (message,) = model.prepare_inputs(prompt)
    except Exception as error:  # noqa: BLE001 - what upstream cannot send
        return f"{type(error).__name__}: {error}"
    parts = []
    for part in message["content"]:
        if part["type"] == "text":
            parts.append(part["text"])
            continue
        data = base64.b64decode(part["image_url"]["url"].partition(",")[2])
        parts.append({"picture": hashlib.sha256(data).hexdigest()})
    return parts


if __name__ == "__main__":
    main(Path(sys.argv[1]))
