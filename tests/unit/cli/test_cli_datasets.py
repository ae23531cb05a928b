"""`assay datasets list`: every documented name, and what it can be used for here."""

import json

import pytest
from typer.testing import CliRunner

from assay.cli import datasets
from assay.cli.main import app
from assay.domain import catalog
from support.dataset_caches import fetched_cache

STATES = {"scores", "infer-only", "needs judge", "not yet"}


@pytest.fixture(scope="module")
def documents():
    done = CliRunner().invoke(app, ["datasets", "list", "--json"])
    assert done.exit_code == 0
    return json.loads(done.output)


def test_json_has_all_89_names_sorted_with_the_same_keys(documents):
    assert [row["name"] for row in documents] == list(catalog.names())
    assert len(documents) == 89
    keys = (
        "name state reason cure family type class judge answers url md5 members renamed"
    )
    assert {" ".join(row) for row in documents} == {keys}


def test_a_collection_names_its_members_and_a_renamed_dataset_its_new_name(documents):
    rows = {row["name"]: row for row in documents}
    assert rows["MMMB"]["members"][0] == "MMMB_ar"
    assert rows["GMAI_mm_bench_VAL"]["renamed"] == "GMAI-MMBench_VAL"
    plain = CliRunner().invoke(app, ["datasets", "list"]).output
    assert "\tas GMAI-MMBench_VAL\t" in plain
    assert "\t6 datasets\t" in plain


def test_what_scores_needs_no_reason_and_everything_else_has_one(documents):
    assert {row["state"] for row in documents} <= STATES
    for row in documents:
        assert bool(row["reason"]) == (row["state"] != "scores"), row["name"]


@pytest.mark.parametrize(
    ("name", "state"),
    [("MMStar", "scores"), ("MMVet", "needs judge"), ("Video-MME", "not yet")],
)
def test_each_kind_of_name_has_its_state(documents, name, state):
    assert {row["name"]: row["state"] for row in documents}[name] == state


def test_the_plain_list_is_one_tab_separated_line_per_name():
    lines = CliRunner().invoke(app, ["datasets", "list"]).output.splitlines()
    head, *rows = (line.split("\t") for line in lines)
    assert head == ["name", "state", "family", "judge", "source", "reason"]
    assert len(rows) == 89
    assert {len(row) for row in rows} == {6}


def test_the_table_names_every_dataset_whole_and_counts_states(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    datasets.draw(datasets.listed())
    shown = capsys.readouterr().out
    assert all(name in shown for name in catalog.names())
    assert shown.splitlines()[-1].startswith("89 names: ")


def test_what_is_kept_here_is_listed_with_its_bytes(monkeypatch, tmp_path):
    fetched = fetched_cache(tmp_path / "cache")
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    shown = CliRunner().invoke(app, ["datasets", "list", "--here", "--json"])
    (row,) = json.loads(shown.output)
    assert (row["name"], row["prepared"]) == ("Mine", [fetched.digest])
    assert row["size_bytes"] > fetched.size_bytes
    lines = CliRunner().invoke(app, ["datasets", "list", "--here"]).output.splitlines()
    assert lines[0].split("\t")[0] == "Mine"
    assert lines[1].startswith("1 datasets, ")


def test_a_part_of_a_download_is_neither_sound_nor_damaged(monkeypatch, tmp_path):
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path))
    (tmp_path / "partial" / "Cut").mkdir(parents=True)
    (tmp_path / "partial" / "Cut" / "x").write_bytes(b"inde")
    done = CliRunner().invoke(app, ["datasets", "verify"])
    assert done.exit_code == 0
    assert done.output.startswith("Cut: incomplete, 4 ")
