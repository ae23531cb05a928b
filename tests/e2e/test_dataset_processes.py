"""Dataset services as processes: they share one cache, survive each other, and leave nothing open."""

from __future__ import annotations

import asyncio

import pytest

from assay.domain.errors import UnavailableError
from assay.domain.prepared import PrepareStage
from assay.domain.run import PicturePolicy, SourceOverride
from support.dataset_process import dataset_process, mcq_rows, write_tsv
from support.faulty_server import faulty_server

pytestmark = pytest.mark.e2e

POLICY = PicturePolicy()


async def test_two_processes_download_and_prepare_once(tmp_path):
    content = write_tsv(tmp_path / "any.tsv", mcq_rows(3)).read_bytes()
    async with (
        faulty_server(content) as server,
        dataset_process(tmp_path / "cache") as (one, _),
        dataset_process(tmp_path / "cache") as (two, _),
    ):
        source = SourceOverride(url=f"{server.url}/mine.tsv")
        refs = await asyncio.gather(
            one.prepare("Mine", source, POLICY, {}),
            two.prepare("Mine", source, POLICY, {}),
        )
    assert refs[0] == refs[1]
    assert len(server.requests) == 1


async def test_what_a_killed_process_held_is_taken_over(tmp_path):
    content = write_tsv(tmp_path / "any.tsv", mcq_rows(3)).read_bytes()
    async with (
        faulty_server(content, "stall:800") as server,
        dataset_process(tmp_path / "cache") as (one, first),
        dataset_process(tmp_path / "cache") as (two, _),
    ):
        source = SourceOverride(url=f"{server.url}/mine.tsv")
        came, waits = asyncio.Event(), asyncio.Event()
        told = lambda p: p.done and came.set()  # noqa: E731
        holding = asyncio.create_task(one.prepare("Mine", source, POLICY, {}, told))
        await came.wait()
        taking = asyncio.create_task(
            two.prepare("Mine", source, POLICY, {}, _on_waiting(waits))
        )
        await waits.wait()
        first.kill()
        assert isinstance(await _outcome(holding), UnavailableError)
        assert (await taking).sample_count == 3
    assert server.requests[-1]["range"].startswith("bytes=800-")


async def _outcome(task):
    return (await asyncio.gather(task, return_exceptions=True))[0]


def _on_waiting(event):
    return lambda p: p.stage is PrepareStage.WAITING and event.set()


async def test_sigterm_ends_a_process_that_downloads(tmp_path):
    async with (
        faulty_server(b"index", "stall:3") as server,
        dataset_process(tmp_path / "cache") as (client, process),
    ):
        came = asyncio.Event()
        source = SourceOverride(url=f"{server.url}/mine.tsv")
        held = asyncio.create_task(
            client.prepare("Mine", source, POLICY, {}, lambda _p: came.set())
        )
        await came.wait()
        process.terminate()
        with pytest.raises(UnavailableError):
            await held
        assert await process.wait() == 0
