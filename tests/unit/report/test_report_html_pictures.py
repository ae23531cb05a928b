"""Pictures beside a page: which, where, how many times, and when there is no room for all."""

from __future__ import annotations

import json
import shutil
from itertools import chain

import pytest

from assay.domain.errors import NotFoundError, StoreUnavailableError
from assay.report.html import render_html
from assay.report.html_prompts import StoredPrompts
from assay.report.page import write_page
from assay.store.folder import FolderStore
from support.html_runs import pictured, run_folder

SAMPLES, PICTURES = 60, 40


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "cache")


@pytest.fixture
def run_dir(tmp_path, store):
    digest = pictured(store, tmp_path / "new", SAMPLES, PICTURES)
    return run_folder(tmp_path / "run", SAMPLES, digest)


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_every_picture_is_written_once_whole_and_in_a_file_of_its_own(run_dir, store):
    write_page(run_dir, store)
    found = [path.read_bytes() for path in files(run_dir / "report.pictures")]
    assert len(set(found)) == len(found) == PICTURES
    assert all(d.startswith(b"\xff\xd8") and d.endswith(b"\xff\xd9") for d in found)


def test_a_second_page_writes_only_pictures_that_are_missing_or_cut_off(run_dir, store):
    write_page(run_dir, store)
    kept, cut, gone = files(run_dir / "report.pictures")[:3]
    before, whole = kept.stat().st_mtime_ns, cut.read_bytes()
    cut.write_bytes(whole[:50])
    gone.unlink()
    write_page(run_dir, store)
    assert kept.stat().st_mtime_ns == before
    assert (cut.read_bytes(), gone.exists()) == (whole, True)


def test_where_there_is_no_room_for_all_wrong_and_unscored_samples_come_first(
    run_dir, store
):
    everything = render_html(run_dir, StoredPrompts(store), picture_bytes=None)
    sizes = [part.length for part in everything.album.pictures.values()]
    some = render_html(run_dir, StoredPrompts(store), picture_bytes=sum(sizes) // 2)
    assert sum(p.length for p in some.album.pictures.values()) <= sum(sizes) // 2
    assert len(some.album.pictures) + some.album.left_out == PICTURES
    # Sample 2 is wrong for both models, sample 0 is right for the first.
    document = json.loads(some.html.split(b'id="rows-0">')[1].split(b"</script>")[0])
    names, of = (document["pictures"][key] for key in ("names", "of"))
    assert names[of[2][0]] in some.album.pictures
    assert None in {names[number] for number in chain(*of)}
    assert b"--pictures all" in some.html


def test_a_page_without_pictures_is_one_file(run_dir, store):
    write_page(run_dir, store, picture_bytes=0)
    assert not (run_dir / "report.pictures").exists()


def test_a_page_of_another_name_has_a_folder_of_its_own(run_dir, store, tmp_path):
    page = write_page(run_dir, store, tmp_path / "my page.html")
    assert len(files(tmp_path / "my page.pictures")) == PICTURES
    assert b'data-beside="my%20page.pictures/"' in page.read_bytes()


def test_no_room_on_the_disk_is_an_error_that_names_the_place(run_dir, store):
    (run_dir / "report.pictures").write_text("in the way")
    with pytest.raises(StoreUnavailableError, match=r"report\.pictures"):
        write_page(run_dir, store)


def test_a_page_that_fails_leaves_neither_itself_nor_pictures(run_dir, store, tmp_path):
    for pack in (tmp_path / "cache").rglob("*.pack"):
        pack.unlink()
    (tmp_path / "out").mkdir()
    with pytest.raises(NotFoundError):
        write_page(run_dir, store, tmp_path / "out" / "page.html")
    assert list((tmp_path / "out").iterdir()) == []


def test_samples_of_another_dataset_are_not_shown_its_pictures(run_dir, store):
    other = run_folder(run_dir / "x", 61) / "samples/My_Model"
    shutil.copytree(other, run_dir / "samples/My_Model", dirs_exist_ok=True)
    page = render_html(run_dir, StoredPrompts(store))
    assert page.html.count(b'"pictures":') == 1
