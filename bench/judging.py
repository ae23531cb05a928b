"""Inference and judging at the same time: `python bench/judging.py`.

A model and a judge, each a stub of its own with the same latency and slots; every answer is judged. The
wall counts from the model's first request to the judge's last answer: without the last pass, which asks
nothing. Beside it: the time that either would take alone at best, and a bare asyncio client that does both.
"""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import tables
import uvloop
import yaml
from contenders import ASSAY, MODEL, Stub, stub

VAGUE = "I could not tell one from the other"
TARGET = 1.15
"""Of the longer of the two alone: whoever does one after the other needs 2."""


def run_assay(table: tables.Table, model: Stub, judge: Stub, folder: Path) -> None:
    """One evaluation of the installed package, its dataset prepared by a run before."""
    config = {
        "work_dir": str(folder),
        "eval_config": {
            "model": [MODEL | {"api_base": model.url}],
            "data": [tables.NAME],
            "nproc": model.slots,
            "judge": "bench-judge",
            "judge_base_url": judge.url.removesuffix("/chat/completions"),
            "judge_api_nproc": judge.slots,
        },
        "dataset_sources": {tables.NAME: {"path": str(table.path), "md5": table.md5}},
    }
    file = folder / "eval.yaml"
    file.write_text(yaml.safe_dump(config))
    run_dir = folder / "run"
    shutil.rmtree(run_dir, ignore_errors=True)
    words = [ASSAY, "run", str(file), "--run-dir", str(run_dir), "--no-preflight"]
    environment = os.environ | {"ASSAY_CACHE": str(folder / "cache")}
    done = subprocess.run(
        words,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"assay run ended with {done.returncode}:\n{done.stderr}")


async def bare(rows: int, model: Stub, judge: Stub) -> float:
    """Seconds of a client that does nothing but ask: each judge request as soon as its answer is there."""
    slots = asyncio.Semaphore(model.slots), asyncio.Semaphore(judge.slots)
    body = {"model": "bench", "messages": [{"role": "user", "content": "x" * 1000}]}

    async def ask(session: aiohttp.ClientSession, end: Stub, slot) -> None:
        async with slot, session.post(end.url, json=body) as answer:
            await answer.read()

    async def both(session: aiohttp.ClientSession) -> None:
        await ask(session, model, slots[0])
        await ask(session, judge, slots[1])

    began = time.monotonic()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(both(session) for _ in range(rows)))
    return time.monotonic() - began


def measure(rows: int, latency: float, slots: int, folder: Path) -> bool:
    """Prints one line; whether the target is met."""
    table = tables.references(rows)
    with (
        stub(latency, slots, answer=VAGUE) as model,
        stub(latency, slots, answer="A") as judge,
    ):
        run_assay(table, model, judge, folder)
        seen, heard = model.stats(), judge.stats()
        model.reset(), judge.reset()
        floor = uvloop.run(bare(rows, model, judge))
    if (seen["answers"], heard["answers"]) != (rows, rows):
        raise RuntimeError(f"asked {seen['answers']} and {heard['answers']} of {rows}")
    alone = rows * latency / slots
    wall = heard["last_answer"] - seen["first_request"]
    met = wall <= TARGET * alone
    print(
        f"N={rows}, {latency:g} s, {slots} slots each: wall {wall:.1f} s = {wall / alone:.2f} of"
        f" either alone ({alone:.1f} s); inference {seen['span_seconds']:.1f} s, judging"
        f" {heard['span_seconds']:.1f} s; a bare client needs {floor:.1f} s ="
        f" {floor / alone:.2f}; target {TARGET:g}: {'ok' if met else 'MISSED'}",
        flush=True,
    )
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--latency", type=float, nargs="+", default=[1.0, 0.2])
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="assay-bench-"))
    try:
        # The first run prepares the dataset.
        with (
            stub(0.001, given.slots, answer=VAGUE) as model,
            stub(0.001, given.slots, answer="A") as judge,
        ):
            run_assay(tables.references(given.rows), model, judge, folder)
        met = [measure(given.rows, each, given.slots, folder) for each in given.latency]
    finally:
        shutil.rmtree(folder)
    # The bar is set at the first latency; the others are printed beside it.
    return 0 if met[0] else 1


if __name__ == "__main__":
    sys.exit(main())
