"""What preparing costs beside a direct decode and encode of the same pictures: `python bench/preparing.py`.

Both in CPU seconds: those of the sealed child that prepares, reading and hashing and all, less what it
takes for two pictures (its start); and those of a bare loop over the same cells with upstream's own
decoder and encoder. Ends with 1 when the target is missed.
"""

import argparse
import asyncio
import csv
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tables import NAME, Table, pictures

from assay.domain.run import PicturePolicy
from assay.seal.launch import SealedJob, run_sealed
from assay.vlmevalkit import shim

TARGET = 1.3
"""Times the CPU of the direct loop."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--side", type=int, default=1024, help="pixels of a picture")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--direct", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.direct:
        return direct(told.direct)
    table = pictures(told.rows, told.side)
    empty = pictures(2, told.side)
    ratios = []
    for number in range(told.rounds):
        loop = direct_seconds(table)
        ours = prepared_seconds(table) - prepared_seconds(empty)
        ratios.append(ours / loop)
        sys.stdout.write(
            f"round {number + 1}: {told.rows} pictures of {told.side}²: direct {loop:.2f} s CPU,"
            f" prepared {ours:.2f} s CPU, {ratios[-1]:.2f} x\n"
        )
    best = sorted(ratios)[len(ratios) // 2]
    sys.stdout.write(f"median {best:.2f} x, target {TARGET} x\n")
    return 0 if best <= TARGET else 1


def direct(path: Path) -> int:
    """Decodes and encodes every picture of a TSV as upstream would send it; prints the CPU seconds."""
    shim.install()
    from vlmeval.smp import (  # noqa: PLC0415 - only behind the shim
        decode_base64_to_image,
        encode_image_to_base64,
    )

    csv.field_size_limit(sys.maxsize)
    with path.open(newline="") as stream:
        cells = [row["image"] for row in csv.DictReader(stream, delimiter="\t")]
    started = time.process_time()
    for cell in cells:
        encode_image_to_base64(decode_base64_to_image(cell))
    sys.stdout.write(f"{time.process_time() - started}\n")
    return 0


def direct_seconds(table: Table) -> float:
    """CPU seconds of the loop over a table; reading the file is not in them."""
    command = [sys.executable, "-W", "ignore", __file__, "--direct", str(table.path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def prepared_seconds(table: Table) -> float:
    """CPU seconds of the child that prepares a table."""
    before = _children()
    folder = Path(tempfile.mkdtemp(prefix="assay-bench-"))
    try:
        asyncio.run(_prepare(table, folder))
    finally:
        shutil.rmtree(folder)
    return _children() - before


async def _prepare(table: Table, folder: Path) -> None:
    document = {
        "name": NAME,
        "sources": {NAME: str(table.path)},
        "pictures": asdict(PicturePolicy()),
    }
    lines: list[dict[str, object]] = []
    job = SealedJob(
        module="assay.dataset.child",
        workdir=folder,
        stdin=json.dumps(document).encode(),
        readable=(table.path.resolve(),),
        time_limit_seconds=3600.0,
    )
    await run_sealed(job, lines.append)
    assert "prepared" in lines[-1], lines[-1]


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
