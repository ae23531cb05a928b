"""Small datasets of each family with awkward predictions, scored by the sealed child or by upstream alone."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
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


def predictions(count: int) -> list[str]:
    return [AWKWARD[i % len(AWKWARD)] for i in range(count)]


def layout(
    folder: Path, name: str, columns, answers, limit=0
) -> list[dict[str, object]]:
    """Writes a scoring child's inputs; `answers` are texts, or reasons in a one-tuple."""
    folder.mkdir(parents=True, exist_ok=True)
    tsv(folder / "lmu" / f"{name}.tsv", columns)
    rows = [
        {"id": str(index), "text": None, "reason": answer[0]}
        if isinstance(answer, tuple)
        else {"id": str(index), "text": answer}
        for index, answer in zip(columns["index"], answers, strict=True)
    ][: limit or None]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "predictions.jsonl").write_text(lines)
    return rows


async def score_sealed(
    folder: Path, name: str, columns, answers, *, limit=0, model="m"
):
    """The child's rows and its last word."""
    layout(folder, name, columns, answers, limit)
    document = {
        "dataset": name,
        "model": model,
        "judge": "exact_matching",
        "limit": limit,
    }
    lines: list[dict] = []
    job = SealedJob(
        module="assay.vlmevalkit.scoring",
        workdir=folder,
        stdin=json.dumps(document).encode(),
        time_limit_seconds=100,
    )
    result = await run_sealed(job, lines.append)
    rows = [row for line in lines for row in line.get("rows", ())]
    return rows, lines[-1], result


UPSTREAM = """
import json, sys, os
from assay.vlmevalkit import shim
shim.install()
from vlmeval.dataset import build_dataset
from vlmeval.smp import dump
from vlmeval.dataset.image_base import ImageBaseDataset
import vlmeval.smp.file as files
name, limit = sys.argv[1], int(sys.argv[2])
# The table is ours, so upstream's own digest of its own table is left out; nothing else is changed.
for cls in [ImageBaseDataset, *ImageBaseDataset.__subclasses__()]:
    getattr(cls, 'DATASET_MD5', {}).pop(name, None)
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
        [sys.executable, "-c", UPSTREAM, name, str(limit)],
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
