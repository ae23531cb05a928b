"""A run's result is fetched through the aggregator over a forwarded port that breaks, whole and as it was."""

import hashlib
from contextlib import asynccontextmanager

import pytest

from assay.cluster import results
from assay.cluster.results import fetch_results
from assay.cluster.session import Session
from assay.domain.errors import (
    CorruptError,
    NotFoundError,
    StoreUnavailableError,
    UnavailableError,
)
from assay.kube.portforward import Target, port_forward
from assay.rpc.channel import open_channel
from assay.store import keys
from support.aggregator import TOKEN, Folder, a_run
from support.forwarding_api import forwarding_api
from support.many_runs import fleet

BIG = bytes(range(256)) * 40_000
OTHER = BIG[::-1]


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path, count=4)


@asynccontextmanager
async def reached(folder, **files):
    """A session with an aggregator that holds a run with these files."""
    async with fleet(folder) as runs:
        await runs.client("a").open(a_run())
        for name, data in files.items():
            runs.store.put(keys.result("a", name), data)
        port = int(runs.address.rpartition(":")[2])
        target = Target("space", lambda: "aggregator-0", 8443)
        async with (
            forwarding_api(port) as api,
            port_forward(api.access(), target) as (address, forward),
            open_channel(address, TOKEN) as channel,
        ):
            yield runs, api, Session(channel, forward)


async def test_all_files_come_as_they_are_and_nothing_is_left_beside_them(
    folder, tmp_path
):
    out, heard = tmp_path / "out", []
    files = {"report.json": b"{}", "samples/m/D.parquet": BIG}
    async with reached(folder, **files) as (_runs, _api, session):
        await fetch_results(session, "a", out, on_file=heard.append)
    there = {p.relative_to(out).as_posix(): p for p in out.rglob("*") if p.is_file()}
    assert {name: path.read_bytes() for name, path in there.items()} == files
    assert heard == sorted(files)


async def test_one_file_alone_can_be_fetched(folder, tmp_path):
    async with reached(folder, **{"report.json": b"{}", "big": BIG}) as (*_, session):
        await fetch_results(session, "a", tmp_path / "out", only=["report.json"])
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["report.json"]


async def test_the_page_and_its_pictures_are_left_where_nobody_wants_them(
    folder, tmp_path
):
    names = ["report.json", "report.html", "report.pictures/1.jpg"]
    async with reached(folder, **dict.fromkeys(names, b"x")) as (*_, session):
        await fetch_results(session, "a", tmp_path / "some", page=False)
        await fetch_results(session, "a", tmp_path / "all")
    assert [p.name for p in (tmp_path / "some").iterdir()] == ["report.json"]
    assert (tmp_path / "all" / "report.pictures" / "1.jpg").read_bytes() == b"x"


async def test_a_fetch_that_is_cut_goes_on_where_it_was(folder, tmp_path):
    async with reached(folder, big=BIG) as (_runs, api, session):
        api.cut_after = 3_000_000
        await fetch_results(session, "a", tmp_path / "out")
    assert api.cut_after == 0
    assert len(api.pods) >= 2
    assert (tmp_path / "out" / "big").read_bytes() == BIG


async def test_a_file_that_is_written_anew_on_the_way_is_begun_again(folder, tmp_path):
    async with reached(folder, big=BIG) as (runs, api, session):
        api.cut_after = 3_000_000
        api.on_cut = lambda: runs.store.put(keys.result("a", "big"), OTHER)
        await fetch_results(session, "a", tmp_path / "out")
    found = (tmp_path / "out" / "big").read_bytes()
    assert hashlib.sha256(found).digest() == hashlib.sha256(OTHER).digest()


async def test_what_is_not_there_yet_is_said_with_when_it_will_be(folder, tmp_path):
    async with reached(folder) as (*_, session):
        with pytest.raises(NotFoundError, match="once the run has ended"):
            await fetch_results(session, "a", tmp_path, only=["report.json"])
    assert not (tmp_path / "report.json").exists()


async def test_a_folder_that_cannot_be_written_is_said(folder, tmp_path):
    (tmp_path / "out").write_text("a file")
    async with reached(folder, big=BIG) as (*_, session):
        with pytest.raises(StoreUnavailableError, match="out/big"):
            await fetch_results(session, "a", tmp_path / "out")


async def test_an_aggregator_that_stays_away_is_said_as_the_forward_saw_it(folder):
    async with reached(folder) as (_runs, api, session):
        await session.run("a").get()
        api.status = 502
        await api.cut()
        with pytest.raises(UnavailableError, match="portforward aggregator-0"):
            await session.ask(session.run("a").get)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", ""])
def test_a_path_that_leads_out_of_the_folder_is_not_written(path):
    with pytest.raises(CorruptError, match="no path"):
        results._below(path)
