"""Where a raw file is looked for, in which order, and what of that names a request."""

from __future__ import annotations

import pytest

from assay.dataset.sources.resolve import (
    HttpAddress,
    LocalFile,
    locate,
    mirrored,
    request_digest,
)
from assay.domain import catalog
from assay.domain.errors import DatasetError
from assay.domain.run import SourceOverride

LEGACY = "MMMB_en"


def test_what_the_user_named_comes_before_a_file_that_is_there(tmp_path):
    (tmp_path / "MMStar.tsv").write_bytes(b"")
    override = SourceOverride(url="https://here.invalid/x.tsv")
    found = locate("MMStar", override, {}, [tmp_path])
    assert str(found) == "https://here.invalid/x.tsv"
    assert found.expected.md5 == catalog.lookup("MMStar").md5


def test_a_file_in_lmudata_comes_before_the_address(tmp_path):
    assert isinstance(locate("MMStar", None, {}, [tmp_path]), HttpAddress)
    (tmp_path / "MMStar.tsv").write_bytes(b"")
    found = locate("MMStar", None, {}, [tmp_path / "none", tmp_path])
    assert found == LocalFile(tmp_path / "MMStar.tsv", found.expected)


def test_a_file_named_as_its_address_is_found_after_one_of_the_name(tmp_path):
    (tmp_path / "mmmb_en.tsv").write_bytes(b"")
    assert str(locate(LEGACY, None, {}, [tmp_path])).endswith("/mmmb_en.tsv")
    (tmp_path / "MMMB_en.tsv").write_bytes(b"")
    assert str(locate(LEGACY, None, {}, [tmp_path])).endswith("/MMMB_en.tsv")


def test_the_longest_mirror_prefix_wins_and_changes_no_request():
    mirrors = {"https://a/": "https://m/", "https://a/b/": "https://n/", "": "x"}
    assert mirrored("https://a/b/c", mirrors) == "https://n/c"
    assert mirrored("https://z/b/c", mirrors) == "https://z/b/c"
    official = locate("MMStar", None, {}, [])
    elsewhere = locate("MMStar", None, {"https://": "http://near/"}, [])
    assert str(official) != str(elsewhere)
    assert request_digest(official) == request_digest(elsewhere)


def test_a_name_without_any_place_says_where_was_looked(tmp_path):
    with pytest.raises(DatasetError, match=str(tmp_path / "Mine.tsv")) as refused:
        locate("Mine", None, {}, [tmp_path])
    assert "dataset_sources" in refused.value.cure


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 201, "a\0b"])
def test_what_cannot_be_a_file_name_is_no_dataset(name):
    with pytest.raises(DatasetError, match="cannot be a dataset's name"):
        locate(name, None, {}, [])


@pytest.mark.parametrize("digest", [{"md5": "12"}, {"sha256": "g" * 64}])
def test_a_digest_that_is_none_is_refused(digest):
    with pytest.raises(DatasetError, match="is no"):
        locate("Mine", SourceOverride(path="/x", **digest), {}, [])
