"""A cache that fills up while a dataset is prepared is said in words, with the place and the cure."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from assay.dataset.preparing import Order, Preparer
from assay.dataset.sources.digests import hash_file
from assay.dataset.sources.fetch import RawSource
from assay.domain.errors import StoreFullError
from assay.domain.run import PicturePolicy
from support.dataset_process import mcq_rows, write_tsv


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small file system is not allowed here")
    yield place
    subprocess.run(["umount", "-l", place], check=False, timeout=10)


def fill(place):
    with (
        Path("/dev/zero").open("rb") as zeros,
        (place / "others").open("ab", buffering=0) as stream,
        pytest.raises(OSError, match="No space left"),
    ):
        shutil.copyfileobj(zeros, stream, 4096)


async def test_room_that_others_take_meanwhile_is_missed_in_words(tmp_path, small_disk):
    path = write_tsv(tmp_path / "any.tsv", mcq_rows(4))
    digests = hash_file(path, lambda _done: None)
    order = Order(
        name="Mine",
        digest="0" * 64,
        sources={"Mine": RawSource(digests, path)},
        source=digests,
        pictures=PicturePolicy(),
        versions={},
    )
    preparer = Preparer(small_disk / "work")
    # The first thing told is that the work begins: there was room then.
    with pytest.raises(StoreFullError, match=f"no space left in {small_disk}") as full:
        await preparer.prepare(order, lambda _step: fill(small_disk))
    assert "prepare dataset Mine" in full.value.message
    assert "$ASSAY_CACHE" in str(full.value.cure)
