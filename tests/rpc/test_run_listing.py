"""Runs are listed and their files fetched through the aggregator; neither takes a run over."""

import hashlib

import pytest

from assay.domain.errors import ChangedError, ConfigError, NotFoundError
from assay.domain.report import RunState
from assay.store import keys
from support.aggregator import Folder, a_run, answer
from support.many_runs import fleet

BIG = bytes(range(256)) * 10_000
"""More than two pieces."""


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path, count=4)


async def listed(runs):
    return {each.run_id: each async for each in runs.results.runs()}


async def test_runs_are_listed_with_state_and_counts(folder):
    async with fleet(folder) as runs:
        await runs.start(folder, "a", a_run(name="nightly"))
        await runs.answer("a", answer(0))
        await runs.start(folder, "b")
        await runs.client("b").cancel()
        found = await listed(runs)
    assert [found[r].state for r in "ab"] == [RunState.RUNNING, RunState.CANCELLED]
    assert (found["a"].name, found["a"].models) == ("nightly", ("m",))
    assert (found["a"].counts.predicted, found["a"].finished) == (1, "")
    assert (found["b"].counts.total, found["b"].finished >= found["b"].started) == (
        4,
        True,
    )


async def test_a_list_takes_no_run_over(folder):
    async with fleet(folder) as runs:
        await runs.start(folder, "a")
        await runs.start(folder, "b")
        await runs.client("b").close()
    async with fleet(folder) as runs:
        found = await listed(runs)
        epochs = [len(list(runs.store.list(keys.epochs(r)))) for r in "ab"]
    assert [found[r].state for r in "ab"] == [RunState.RUNNING, RunState.SUPERSEDED]
    assert (found["a"].counts, found["b"].counts.total) == (None, 4)
    assert epochs == [1, 1]


async def test_a_list_comes_in_pages_and_names_every_run_once(folder):
    names = ["a", "a-1", "a0", "ab", "b.2"]
    async with fleet(folder) as runs:
        for name in names:
            await runs.client(name).open(a_run())
        token, pages = "", []
        while not pages or token:
            page = await runs.results.page(token, size=2)
            pages.append([each.run_id for each in page.runs])
            token = page.next_token
    assert [len(page) for page in pages] == [2, 2, 1]
    assert sorted(name for page in pages for name in page) == sorted(names)


async def test_a_run_whose_spec_cannot_be_read_does_not_hide_the_others(folder):
    async with fleet(folder) as runs:
        await runs.client("a").open(a_run())
        runs.store.put(keys.spec("b"), b"{")
        found = await listed(runs)
    assert "cannot read" in found["b"].message
    assert found["a"].state is RunState.RUNNING


async def test_a_page_token_of_somebody_elses_is_refused(folder):
    async with fleet(folder) as runs:
        with pytest.raises(ConfigError, match="page_token"):
            await runs.results.page("../..")


async def with_files(runs, **files):
    await runs.client("a").open(a_run())
    for name, data in files.items():
        runs.store.put(keys.result("a", name), data)


async def test_files_are_named_and_fetched_with_their_digest(folder):
    async with fleet(folder) as runs:
        await with_files(runs, **{"report.json": b"{}", "samples/m/D.parquet": BIG})
        named = {file.path: file.size for file in await runs.results.files("a")}
        assert named == {"report.json": 2, "samples/m/D.parquet": len(BIG)}
        found = [p async for p in runs.results.fetch("a", "samples/m/D.parquet")]
    head, *pieces = found
    assert head.sha256 == hashlib.sha256(BIG).hexdigest()
    assert b"".join(pieces) == BIG
    assert max(map(len, pieces)) == 1024 * 1024


@pytest.mark.parametrize("offset", [0, 1, 1024 * 1024, len(BIG) - 1, len(BIG)])
async def test_a_fetch_goes_on_where_it_was_cut(folder, offset):
    digest = hashlib.sha256(BIG).hexdigest()
    async with fleet(folder) as runs:
        await with_files(runs, big=BIG)
        rest = await runs.file("a", "big", offset=offset, sha256=digest)
    assert rest == BIG[offset:]


async def test_a_fetch_does_not_go_on_with_another_file(folder):
    async with fleet(folder) as runs:
        await with_files(runs, big=BIG)
        with pytest.raises(ChangedError, match="from its beginning"):
            await runs.file("a", "big", offset=5, sha256="0" * 64)


@pytest.mark.parametrize(
    "path",
    [
        "../spec.json",
        ".assay/spec.json",
        "a/../../x",
        "/etc/passwd",
        "a//b",
        "a/",
        "a\0b",
    ],
)
async def test_no_path_leads_out_of_a_runs_result(folder, path):
    async with fleet(folder) as runs:
        await with_files(runs, a=b"x")
        with pytest.raises(ConfigError, match="no file of a run"):
            await runs.file("a", path)


async def test_what_is_not_there_is_not_found(folder):
    async with fleet(folder) as runs:
        await with_files(runs)
        with pytest.raises(NotFoundError, match=r"report\.json among the results"):
            await runs.file("a", "report.json")
        for run_id in ("never", "../a", ""):
            with pytest.raises(NotFoundError, match="never opened"):
                await runs.results.files(run_id)
