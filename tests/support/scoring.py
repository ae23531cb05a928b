"""Small datasets of each family with awkward predictions, scored by the sealed child or by upstream alone."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from assay.seal.launch import SealedJob, run_sealed

PICTURE = "P" * 80
"""What a prepared table holds in place of a picture."""

AWKWARD = (
    "A",
    "None",
    "=1",
    "007",
    "5",
    "x" * 40_000,
    "The answer is B",
    "line one\r\nline two",
    "\x01 C \x0b",
    "nan",
    "NA",
    " D ",
    "#N/A",
    "yes",
    "No, it is not",
    "é漢字 Yes.",
    "=SUM(A1)",
    "1e3",
    "http://example.invalid/",
    "TRUE",
)


def tsv(path: Path, columns: dict[str, list[object]]) -> Path:
    """Writes a table as datasets come: tab separated, quoted where needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def multiple_choice(count: int) -> dict[str, list[object]]:
    options = {
        letter: [f"{word} {i}" for i in range(count)]
        for letter, word in zip("ABCD", ("red", "blue", "via", "None"), strict=True)
    }
    return {
        "index": list(range(count)),
        "question": [f"Which one, {i}?" for i in range(count)],
        **options,
        "answer": ["ABCD"[i % 4] for i in range(count)],
        "category": [f"kind {i % 3}" for i in range(count)],
        "split": [("dev", "test")[i % 2] for i in range(count)],
        "image": [PICTURE] * count,
    }


def pope(count: int) -> dict[str, list[object]]:
    return {
        "index": list(range(count)),
        "question": [f"Is there a {i}?" for i in range(count)],
        "answer": [("Yes", "No")[i % 2] for i in range(count)],
        "category": [
            ("random,popular", "adversarial", "random")[i % 3] for i in range(count)
        ],
        "image": [PICTURE] * count,
    }


def mme(count: int) -> dict[str, list[object]]:
    return {
        "index": list(range(count)),
        "question": [f"Is it {i}?" for i in range(count)],
        "answer": [("Yes", "No")[i % 2] for i in range(count)],
        "category": [
            ("OCR", "color", "code_reasoning")[i // 2 % 3] for i in range(count)
        ],
        "image_path": [f"p/{i // 2}.jpg" for i in range(count)],
        "image": [PICTURE] * count,
    }


def hallusion(count: int) -> dict[str, list[object]]:
    return {
        "index": [
            f"VD_illusion_1_{i // 4}_{i % 2}_{i % 3}" + f"_{i}" for i in range(count)
        ],
        "question": [f"Is it {i}?" for i in range(count)],
        "answer": [("Yes", "No")[i % 2] for i in range(count)],
        "category": [("VD", "VS")[i // 10 % 2] for i in range(count)],
        "l2-category": [("illusion", "chart")[i // 5 % 2] for i in range(count)],
        "image": [PICTURE] * count,
    }


def vqa(count: int, *, lists: bool, split: bool = False) -> dict[str, list[object]]:
    words = ("7", "blue", "via", "None", "=1", "5 apples")
    single = [words[i % len(words)] for i in range(count)]
    table: dict[str, list[object]] = {
        "index": list(range(count)),
        "question": [f"What is {i}?" for i in range(count)],
        "answer": [str([w] * 4 + ["other"]) for w in single] if lists else single,
        "image": [PICTURE] * count,
    }
    if split:
        table["split"] = [("human", "augmented")[i % 2] for i in range(count)]
    return table


COLLECTIONS = {
    "MMMB": ("MMMB_ar", "MMMB_cn", "MMMB_en", "MMMB_pt", "MMMB_ru", "MMMB_tr"),
    "MTL_MMBench_DEV": tuple(
        f"MMBench_dev_{code}" for code in ("ar", "cn", "en", "pt", "ru", "tr")
    ),
}


def predictions(count: int) -> list[str]:
    return [AWKWARD[i % len(AWKWARD)] for i in range(count)]


def _tables(folder: Path, name: str, columns) -> list[object]:
    """Writes a dataset's table, a collection's once for each member; returns the sample ids."""
    members = COLLECTIONS.get(name)
    if members is None:
        tsv(folder / "lmu" / f"{name}.tsv", columns)
        return columns["index"]
    with tarfile.open(folder / "tar", "w") as archive:
        for member in members:
            path = tsv(folder / "lmu" / f"{member}.tsv", columns)
            archive.add(path, path.name)
    (folder / "tar").rename(folder / "lmu" / f"{name}.tsv")
    return list(range(len(members) * len(columns["index"])))


def layout(
    folder: Path, name: str, columns, answers, limit=0
) -> list[dict[str, object]]:
    """Writes a scoring child's inputs; `answers` are texts, or reasons in a one-tuple."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = _tables(folder, name, columns)
    rows = [
        {"id": str(index), "text": None, "reason": answer[0]}
        if isinstance(answer, tuple)
        else {"id": str(index), "text": answer}
        for index, answer in zip(ids, answers, strict=True)
    ][: limit or None]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "predictions.jsonl").write_text(lines)
    return rows


async def score_sealed(
    folder: Path, name: str, columns, answers, *, limit=0, model="m", collect=False
):
    """The child's rows and its last word; with `collect` nothing is evaluated."""
    layout(folder, name, columns, answers, limit)
    for member in COLLECTIONS.get(name, ()):
        (folder / "lmu" / f"{member}.tsv").unlink()
    lines: list[dict] = []
    result = await run_child(
        folder, name, lines, limit=limit, model=model, collect=collect
    )
    rows = [row for line in lines for row in line.get("rows", ())]
    return rows, lines[-1], result


async def run_child(
    folder: Path, name: str, lines, *, limit=0, model="m", collect=False
):
    """Runs the child on what is laid out in `folder`; its lines go to `lines`."""
    document = {
        "dataset": name,
        "model": model,
        "judge": "exact_matching",
        "limit": limit,
        "predictions_only": collect,
    }
    job = SealedJob(
        module="assay.vlmevalkit.scoring",
        workdir=folder,
        stdin=json.dumps(document).encode(),
        time_limit_seconds=100,
    )
    return await run_sealed(job, lines.append)


UPSTREAM = """
import json, sys, os
from assay.vlmevalkit import shim
shim.install()
from vlmeval.dataset import build_dataset
from vlmeval.smp import dump
from vlmeval.dataset.image_base import ImageBaseDataset
from vlmeval.dataset.utils import multiple_choice
import vlmeval.smp.file as files
name, limit = sys.argv[1], int(sys.argv[2])
# The tables are ours, so upstream's own digests of its own are left out, and two of these processes
# must not meet in one scratch file; nothing else is changed.
def classes(cls):
    return [cls, *(c for sub in cls.__subclasses__() for c in classes(sub))]
for cls in classes(ImageBaseDataset):
    getattr(cls, 'DATASET_MD5', {}).clear()
multiple_choice.timestr = lambda: f'scoring-{os.getpid()}'
# A collection's pictures are written before it is scored; what is there is left alone.
for member in json.loads(sys.argv[3]):
    folder = f"{os.environ['LMUData']}/images/{member}"
    os.makedirs(folder)
    for index in json.loads(sys.argv[4]):
        open(f'{folder}/{index}.jpg', 'w').close()
dataset = build_dataset(name)
if limit:
    dataset.data = dataset.data.iloc[:limit]
data = dataset.data
lines = [json.loads(line) for line in open('predictions.jsonl')]
fail = 'Failed to obtain answer via API.'
data['prediction'] = [str(l['text']) if l['text'] is not None else fail for l in lines]
if 'image' in data:
    data.pop('image')
os.mkdir('out')
path = os.path.abspath(f'out/m_{name}.xlsx')
dump(data, path)
dataset.evaluate(path, nproc=4, verbose=False, retry=6, timeout=600, model='exact_matching')
"""


def score_upstream(folder: Path, name: str, columns, answers, *, limit=0) -> Path:
    """Upstream's own unpatched scoring in a plain process; the folder of its files."""
    layout(folder, name, columns, answers, limit)
    environment = {**os.environ, "LMUData": str(folder / "lmu"), "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            UPSTREAM,
            name,
            str(limit),
            json.dumps(COLLECTIONS.get(name, ())),
            json.dumps(columns["index"]),
        ],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    if done.returncode:
        raise AssertionError(done.stderr[-3000:])
    return folder / "out"
