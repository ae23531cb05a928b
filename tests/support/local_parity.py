"""Assay and VLMEvalKit on the same local model and datasets: the tiny one, on the processor.

`tests/engines` calls it. The datasets bear official names, so that the class's own prompts are used; their
pictures are the held-out digits.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from support.parity import run_assay
from support.parity_results import Both
from support.peer_environment import PeerRun

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "examples/tiny-vlm/weights"
NAME = "Qwen2-VL-2B-Instruct"
PARAMETERS = {"min_pixels": 3136, "max_pixels": 3136, "max_new_tokens": 16}
ROWS = 60
_SCRIPT = Path(__file__).with_name("peer") / "run_local_vlmevalkit.py"

sys.path.append(str(ROOT / "examples/digits"))
from pictures import NAMES, draw, split  # noqa: E402 - they stand with an example

Row = dict[str, str]


def local_python() -> str:
    """The interpreter with torch: the one that is named, or that of `make local`, which is made now."""
    named = os.environ.get("ASSAY_LOCAL_PYTHON")
    if named:
        return named
    made = subprocess.run(
        ["make", "-s", "local"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return made.stdout.strip().splitlines()[-1]


def _choice(digit: int, number: int) -> Row:
    options = [NAMES[(digit + 1 + (number + 2 * n) % 9) % 10] for n in range(4)]
    options[number % 4] = NAMES[digit]
    letters = dict(zip("ABCD", options, strict=True))
    question = "Which digit is written in the picture?"
    answer = "ABCD"[options.index(NAMES[digit])]
    return {"question": question, **letters, "answer": answer, "category": "digits"}


def _whether(digit: int, number: int) -> Row:
    asked = digit if number % 2 else (digit + number) % 10
    answer = "Yes" if asked == digit else "No"
    question = f"Is the digit in the picture {NAMES[asked]}?"
    return {"question": question, "answer": answer, "category": "random"}


def _named(digit: int, number: int) -> Row:
    _ = number
    question = "Which digit is written in the picture?"
    return {"question": question, "answer": NAMES[digit], "split": "test_human"}


FORMATS: Mapping[str, Callable[[int, int], Row]] = {
    "MMStar": _choice,
    "POPE": _whether,
    "ChartQA_TEST": _named,
}
"""Multiple choice, yes or no, and open questions."""


def write_tables(folder: Path) -> dict[str, Path]:
    """The three datasets as TSVs."""
    folder.mkdir(parents=True, exist_ok=True)
    _, held_out = split()
    paths = {}
    for name, row in FORMATS.items():
        paths[name] = folder / f"{name}.tsv"
        with paths[name].open("w", newline="", encoding="utf-8") as stream:
            rows = list(_rows(held_out, row))
            writer = csv.DictWriter(stream, list(rows[0]), delimiter="\t")
            writer.writeheader()
            writer.writerows(rows)
    return paths


def _rows(held_out, row: Callable[[int, int], Row]) -> Iterator[Row]:
    pairs = zip(held_out.scans[:ROWS], held_out.digits[:ROWS], strict=True)
    for number, (scan, digit) in enumerate(pairs):
        picture = base64.b64encode(_png(scan)).decode()
        yield {"index": str(number), "image": picture, **row(int(digit), number)}


def _png(scan) -> bytes:
    buffer = io.BytesIO()
    draw(scan).save(buffer, "PNG")
    return buffer.getvalue()


def digits(count: int) -> list[bytes]:
    """The first held-out digits as PNG."""
    return [_png(scan) for scan in split()[1].scans[:count]]


def run_both(folder: Path) -> Both:
    """VLMEvalKit's own loop, then Assay, with the same interpreter and weights."""
    paths = write_tables(folder / "lmu")
    model = {"name": NAME, "model_path": str(WEIGHTS), **PARAMETERS}
    peer = _run_peer(folder / "peer", folder / "lmu", model)
    sources = {
        name: {"path": str(path), "md5": hashlib.md5(path.read_bytes()).hexdigest()}
        for name, path in paths.items()
    }
    config = {
        "work_dir": str(folder / "outputs"),
        "eval_backend": "VLMEvalKit",
        "eval_config": {
            "model": [model],
            "data": list(paths),
            "judge": "exact_matching",
        },
        "dataset_sources": sources,
    }
    os.environ.setdefault("ASSAY_LOCAL_PYTHON", local_python())
    return Both(peer, run_assay(folder / "assay", config), None)


def _run_peer(folder: Path, lmu_data: Path, model: Mapping[str, object]) -> PeerRun:
    folder.mkdir(parents=True)
    job = {
        "datasets": list(FORMATS),
        "model": dict(model),
        "nproc": 1,
        "limit": None,
        "folder": str(folder),
        "drop_failed": False,
    }
    (folder / "job.json").write_text(json.dumps(job))
    done = subprocess.run(
        [local_python(), str(_SCRIPT), str(folder / "job.json")],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LMUData": str(lmu_data),
            "PYTHONHASHSEED": "0",
        },
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"VLMEvalKit ended with {done.returncode}: {done.stderr[-3000:]}"
        )
    return PeerRun(folder, json.loads((folder / "facts.json").read_text()))


def line(both: Both, name: str) -> tuple[str, bool]:
    """What a reader is told about one dataset, and whether all of it is equal."""
    told = both.told(name)
    pairs = {
        "predictions": (both.column(name, "prediction"), both.peer_predictions(name)),
        "verdicts": (dict(both.column(name, "score")), told["verdicts"]),
        "tables": (both.files(name), both.peer_files(name)),
        "figures": (both.figures(name), both.peer_figures(name)),
    }
    equal = {what: ours == theirs for what, (ours, theirs) in pairs.items()}
    words = ", ".join(
        f"{what} {'equal' if same else 'DIFFER'}" for what, same in equal.items()
    )
    return f"{name}: {ROWS} rows, {words}; {both.figures(name)}", all(equal.values())
