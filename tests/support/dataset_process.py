"""A real dataset service in a process of its own, and small TSVs to feed it."""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from PIL import Image

from assay.rpc.channel import open_channel
from assay.rpc.dataset_client import DatasetClient

TOKEN = "dataset-process-test-token"


def picture_cell(number: int = 0, size: tuple[int, int] = (120, 110)) -> str:
    """Base64 of a small PNG; another number is another picture."""
    picture = Image.linear_gradient("L").resize(size).convert("RGB")
    picture.paste((number * 7 % 256, 90, 10), (5, 5, 60, 60))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def mcq_rows(count: int) -> list[dict[str, object]]:
    """Rows of a custom multiple-choice table, each with its own picture."""
    return [
        {
            "index": number,
            "image": picture_cell(number),
            "question": f"What is number {number}?",
            "A": "red",
            "B": "blue",
            "answer": "AB"[number % 2],
        }
        for number in range(count)
    ]


def write_tsv(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Writes a table as VLMEvalKit's own tools do."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
    return path


@asynccontextmanager
async def dataset_process(
    cache: Path, **config: object
) -> AsyncIterator[tuple[DatasetClient, asyncio.subprocess.Process]]:
    """Starts `assay.dataset.main` over `cache`; ends it with SIGTERM."""
    reading, writing = os.pipe()
    config_reading, config_writing = os.pipe()
    document = {
        "token": TOKEN,
        "ready_fd": writing,
        "die_with_parent": True,
        "store": {"cache": str(cache)},
        **config,
    }
    os.write(config_writing, json.dumps(document).encode())
    os.close(config_writing)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "assay.dataset.main",
        "--config-fd",
        str(config_reading),
        pass_fds=(config_reading, writing),
    )
    os.close(config_reading)
    os.close(writing)
    try:
        with os.fdopen(reading) as stream:
            line = await asyncio.to_thread(stream.readline)
        address = json.loads(line)["address"]
        async with open_channel(address, TOKEN) as channel:
            yield DatasetClient(channel), process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
