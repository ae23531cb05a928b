"""A prepared dataset reads back as it was published, whole or not at all."""

from __future__ import annotations

import pytest

from assay.domain.errors import CorruptError, NotFoundError, PermanentError
from assay.domain.prepared import manifest_from_json
from assay.domain.prompt import PicturePart, TextPart
from assay.store import keys, prepared
from assay.store.folder import FolderStore
from assay.store.prepared import PreparedDataset
from support.prepared import put_prepared


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "cache")


def test_prompts_come_back_with_their_pictures_in_place(store, tmp_path):
    digest = put_prepared(store, tmp_path / "new", picture=b"jpeg")
    dataset = PreparedDataset.open(store, "Tiny", digest)
    assert dataset.sample_ids == ("0", "1")
    picture, text = dataset.prompt(1).turns[0].parts
    assert text == TextPart("And this?")
    assert isinstance(picture, PicturePart)
    assert store.get_range(picture.key, picture.offset, picture.length) == b"jpeg"


def test_a_sample_without_a_sendable_picture_says_why(store, tmp_path):
    digest = put_prepared(store, tmp_path / "new", invalid={1: "cannot be decoded"})
    dataset = PreparedDataset.open(store, "Tiny", digest)
    assert dataset.invalid == {1: "cannot be decoded"}
    with pytest.raises(PermanentError, match="sample 1 of Tiny: cannot be decoded"):
        dataset.prompt(1)


def test_prompts_longer_than_a_block_read_whole(store, tmp_path):
    questions = ["ä" * 200_000, "short", "z" * 600_000, "last"]
    digest = put_prepared(store, tmp_path / "new", questions=questions)
    dataset = PreparedDataset.open(store, "Tiny", digest)
    read = [dataset.prompt(n).turns[0].parts[1] for n in (2, 0, 3, 1)]
    assert [TextPart(questions[n]) for n in (2, 0, 3, 1)] == read


def test_without_its_manifest_a_dataset_does_not_exist(store, tmp_path):
    digest = put_prepared(store, tmp_path / "new")
    store.delete(keys.prepared("Tiny", digest, "manifest.json"))
    with pytest.raises(NotFoundError, match="not prepared in this store"):
        PreparedDataset.open(store, "Tiny", digest)


def test_parts_that_disagree_are_corrupt(store, tmp_path):
    digest = put_prepared(store, tmp_path / "new")
    store.put(keys.prepared("Tiny", digest, "samples.json"), b'["0"]')
    with pytest.raises(CorruptError, match="disagree"):
        PreparedDataset.open(store, "Tiny", digest)


def test_a_manifest_of_another_schema_is_refused():
    with pytest.raises(CorruptError, match=r"assay\.dataset/v9"):
        manifest_from_json(b'{"schema": "assay.dataset/v9"}')


def test_a_deleted_dataset_leaves_nothing(store, tmp_path):
    digest = put_prepared(store, tmp_path / "new")
    assert [digest] == [m.digest for m in prepared.prepared_here(store)]
    prepared.delete(store, "Tiny", digest)
    assert list(store.list(f"datasets/Tiny/{digest}/")) == []
    with pytest.raises(NotFoundError):
        prepared.delete(store, "Tiny", digest)
