"""`assay report --html`: where the page goes, and where its prompts come from."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from assay.cli.main import app
from assay.report.html_prompts import StoredPrompts
from assay.report.html_samples import PICTURE
from assay.store.folder import FolderStore
from support.html_runs import run_folder
from support.prepared import put_prepared


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    return run_folder(tmp_path / "run", 30)


def invoke(*arguments):
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_the_page_is_written_into_the_folder_of_the_run(folder):
    done = invoke(folder, "--html")
    assert done.stdout == f"wrote {folder / 'report.html'}\n"
    assert (folder / "report.html").read_bytes().startswith(b"<!doctype html>")


def test_the_page_is_written_where_the_user_says(folder, tmp_path):
    assert invoke(folder, "--html", tmp_path / "page.html").exit_code == 0
    assert (tmp_path / "page.html").exists()
    assert not (folder / "report.html").exists()


def test_a_file_without_html_is_bad_usage(folder, tmp_path):
    done = invoke(folder, tmp_path / "page.html")
    assert done.exit_code == 2
    assert "only --html writes a file" in done.stderr


def test_a_page_that_cannot_be_written_is_an_error_with_a_cure(folder, tmp_path):
    (tmp_path / "page.html").mkdir()
    done = invoke(folder, "--html", tmp_path / "page.html")
    assert done.exit_code == 1
    assert (
        f"error: cannot write {tmp_path / 'page.html'}: Is a directory" in done.stderr
    )
    assert "cure: " in done.stderr


def test_prompts_come_from_the_store_with_their_pictures_named(tmp_path):
    store = FolderStore(tmp_path / "cache")
    digest = put_prepared(store, tmp_path / "new", invalid={1: "not a picture"})
    shown = StoredPrompts(store).shown("Tiny", digest, ["0", "1"])
    assert shown.texts == [f"{PICTURE}\nWhat is it?", None]
    assert [len(pictures) for pictures in shown.pictures] == [1, 0]


@pytest.mark.parametrize("digest", ["", "0" * 64])
def test_a_dataset_that_is_not_in_the_store_has_no_prompts(tmp_path, digest):
    assert StoredPrompts(FolderStore(tmp_path)).shown("Tiny", digest, ["0"]) is None


def test_a_question_cannot_pretend_that_a_picture_stands_in_it(tmp_path):
    store = FolderStore(tmp_path / "cache")
    digest = put_prepared(store, tmp_path / "new", questions=[f"See {PICTURE}?"])
    shown = StoredPrompts(store).shown("Tiny", digest, ["0"])
    assert shown.texts == [f"{PICTURE}\nSee ??"]
