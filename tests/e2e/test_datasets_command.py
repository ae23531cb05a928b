"""`assay datasets ...` as a user types it, with a real file server, real processes, and a real run."""

from __future__ import annotations

import asyncio
import json
import re
import signal

import pytest

from support.faulty_server import faulty_server
from support.local_runs import DATASET, Desk, until

pytestmark = pytest.mark.e2e


@pytest.fixture
def made(tmp_path, stub):
    """Sets up desks whose file names a dataset by its address; each with a cache of its own."""
    desks = []

    def make(url, name="desk", count=6, **changes):
        sources = {DATASET: {"url": f"{url}/{DATASET}.tsv"}}
        desk = Desk.set_up(
            tmp_path / name,
            stub.url,
            count=count,
            cache_dir=tmp_path / f"{name}-cache",
            **{"dataset_sources": sources, **changes},
        )
        desks.append(desk)
        return desk

    yield make
    for each in desks:
        each.leave()


def content(tmp_path, made):
    """The table that desks expect to be served."""
    return (
        made("http://gone.invalid", "source").folder / f"{DATASET}.tsv"
    ).read_bytes()


def cache_of(desk):
    return desk.folder.with_name(f"{desk.folder.name}-cache")


async def told(desk, *arguments):
    return await asyncio.to_thread(desk.assay, *arguments)


async def test_what_was_fetched_runs_when_its_server_is_gone(tmp_path, made):
    async with faulty_server(content(tmp_path, made), "cut:900") as server:
        desk = made(server.url)
        fetched = await told(desk, "datasets", "fetch", "-f", desk.file)
    assert (fetched.returncode, fetched.stderr.count("fetching")) == (0, 1)
    assert fetched.stdout.startswith(f"{DATASET}: 6 samples, ")
    ran = await asyncio.to_thread(desk.run, tmp_path / "run")
    assert ran.returncode == 0, ran.stderr
    assert len(server.requests) == 2


async def test_a_killed_fetch_goes_on_where_it_was(tmp_path, made):
    async with faulty_server(content(tmp_path, made), "stall:900") as server:
        desk = made(server.url)
        first = desk.start("datasets", "fetch", DATASET, "-f", desk.file)
        partial = cache_of(desk) / "partial" / DATASET
        await asyncio.to_thread(
            until,
            lambda: any(p.stat().st_size == 900 for p in partial.glob("*")),
            "bytes",
        )
        first.kill()
        again = await told(desk, "datasets", "fetch", DATASET, "-f", desk.file)
    assert again.returncode == 0, again.stderr
    assert server.requests[-1]["range"].startswith("bytes=900-")


async def test_a_fetch_that_is_asked_to_stop_says_how_to_go_on(tmp_path, made):
    async with faulty_server(content(tmp_path, made), "stall:900") as server:
        desk = made(server.url)
        process = desk.start("datasets", "fetch", "-f", desk.file)
        await asyncio.to_thread(until, lambda: server.sent == 900, "bytes")
        process.send_signal(signal.SIGINT)
        _, words = await asyncio.to_thread(process.communicate)
    assert process.returncode == 130
    assert "the same command goes on from it" in words


async def test_two_fetches_at_once_download_once(tmp_path, made):
    async with faulty_server(content(tmp_path, made)) as server:
        desk = made(server.url)
        ask = ("datasets", "fetch", "-f", desk.file)
        outcomes = await asyncio.gather(told(desk, *ask), told(desk, *ask))
    assert [each.returncode for each in outcomes] == [0, 0]
    assert len(server.requests) == 1


async def test_a_fetch_that_fails_says_why_and_exits_with_1(tmp_path, made):
    async with faulty_server(b"", "status:404") as server:
        desk = made(server.url)
        failed = await told(desk, "datasets", "fetch", "-f", desk.file)
    assert failed.returncode == 1
    assert "the server answered 404" in failed.stderr
    assert "cure: name a working address" in failed.stderr


async def carried(tmp_path, made):
    """A bundle made where there is network."""
    async with faulty_server(content(tmp_path, made)) as server:
        desk = made(server.url, "online")
        await told(desk, "datasets", "fetch", "-f", desk.file)
        bundle = tmp_path / "bundle.zip"
        done = await told(desk, "datasets", "export", DATASET, "-o", bundle)
    assert done.returncode == 0, done.stderr
    return bundle, server.url


async def test_an_imported_dataset_runs_without_network(tmp_path, made):
    bundle, url = await carried(tmp_path, made)
    desk = made(url, "offline")
    imported = await told(desk, "datasets", "import", bundle)
    assert imported.stdout.startswith(f"{DATASET}: ")
    ran = await asyncio.to_thread(desk.run, tmp_path / "run")
    assert ran.returncode == 0, ran.stderr


async def test_an_imported_table_of_ones_own_needs_no_address(tmp_path, made):
    bundle, url = await carried(tmp_path, made)
    desk = made(url, "offline", dataset_sources=None)
    unknown = await asyncio.to_thread(desk.run, tmp_path / "unknown")
    assert unknown.returncode == 2
    await told(desk, "datasets", "import", bundle)
    ran = await asyncio.to_thread(desk.run, tmp_path / "run")
    assert ran.returncode == 0, ran.stderr


async def test_a_cut_bundle_is_refused_with_the_cure(tmp_path, made):
    bundle, url = await carried(tmp_path, made)
    bundle.write_bytes(bundle.read_bytes()[:-100])
    desk = made(url, "offline")
    refused = await told(desk, "datasets", "import", bundle)
    assert refused.returncode == 1
    assert "nothing was imported" in refused.stderr
    assert "cure: copy it again" in refused.stderr


async def test_damage_is_found_and_its_cure_cures(tmp_path, made):
    async with faulty_server(content(tmp_path, made)) as server:
        desk = made(server.url)
        await told(desk, "datasets", "fetch", "-f", desk.file)
        (table,) = (cache_of(desk) / "datasets").glob("*/*/table.tsv")
        table.write_bytes(table.read_bytes()[:-1] + b"!")
        found = await told(desk, "datasets", "verify")
        assert found.returncode == 1
        assert f"{DATASET}: DAMAGED" in found.stdout
        freed = await told(desk, "datasets", "rm", DATASET)
        assert re.match(rf"{DATASET}: \d+ bytes freed", freed.stdout)
        await told(desk, "datasets", "fetch", "-f", desk.file)
        sound = await told(desk, "datasets", "verify", DATASET)
    assert (sound.returncode, "sound" in sound.stdout) == (0, True)


def test_what_a_run_uses_is_not_removed(tmp_path, made, stub):
    desk = made("http://gone.invalid")
    document = json.loads(desk.file.read_text())
    path = str(desk.folder / f"{DATASET}.tsv")
    document["dataset_sources"] = {DATASET: {"path": path}}
    desk.file.write_text(json.dumps(document))
    stub.delay = 60.0
    run = desk.start("run", desk.file, "--run-dir", tmp_path / "run")
    until(lambda: stub.requests, "the first request")
    refused = desk.assay("datasets", "rm", DATASET)
    run.kill()
    run.wait()
    assert refused.returncode == 1
    assert "used by a run" in refused.stderr
    assert desk.assay("datasets", "rm", DATASET).returncode == 0
