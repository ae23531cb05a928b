"""A collection becomes ready from its members' files; pictures that many share are encoded once."""

from __future__ import annotations

import asyncio
import hashlib
import io
import tarfile

import pytest

from assay.dataset.preparing import Preparer
from assay.dataset.service import PrepareRequest
from assay.domain import catalog
from assay.domain.errors import DatasetError, DigestMismatchError
from assay.domain.run import PicturePolicy, SourceOverride
from assay.store import keys
from assay.store.prepared import PreparedDataset, read_manifest
from support.dataset_process import mcq_rows, write_tsv
from support.dataset_service import make_service, ready, request

MEMBERS = catalog.lookup("MMMB").members


def _sources(folder, rows_of):
    """A file for every member: `rows_of` makes its rows by its place."""
    folder.mkdir(exist_ok=True)
    sources = {}
    for place, member in enumerate(MEMBERS):
        path = write_tsv(folder / f"{member}.tsv", rows_of(place))
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        sources[member] = SourceOverride(path=str(path), md5=md5)
    return sources


def _collection(sources, pictures=None):
    return PrepareRequest(
        name="MMMB",
        source=None,
        pictures=pictures or PicturePolicy(),
        mirrors={},
        member_sources=sources,
    )


def _numbered(place):
    rows = mcq_rows(2 + place % 2)
    for row in rows:
        row["question"] = f"{place}-{row['index']}"
    return rows


class CountingPreparer(Preparer):
    """Counts the children that were started: each decodes and encodes every picture of a dataset."""

    children = 0

    async def prepare(self, order, tell):
        self.children += 1
        return await super().prepare(order, tell)


async def test_the_members_follow_each_other_in_upstreams_order(tmp_path):
    service, store = make_service(tmp_path / "cache")
    ref, _ = await ready(service, _collection(_sources(tmp_path / "m", _numbered)))
    dataset = PreparedDataset.open(store, "MMMB", ref.digest)
    assert ref.sample_count == 15
    assert dataset.sample_ids == tuple(map(str, range(15)))
    asked = [dataset.prompt(n).turns[0].parts[-1].text for n in range(15)]
    expected = [f"{place}-{n}" for place in range(6) for n in range(2 + place % 2)]
    assert [text.split("\n")[0] for text in asked] == [
        f"Question: {each}" for each in expected
    ]


async def test_the_table_of_a_collection_is_a_tar_of_its_members_tables(tmp_path):
    service, store = make_service(tmp_path / "cache")
    ref, _ = await ready(service, _collection(_sources(tmp_path / "m", _numbered)))
    data = store.get(keys.prepared("MMMB", ref.digest, "table.tsv"))
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        assert archive.getnames() == [f"{member}.tsv" for member in MEMBERS]
        first = archive.extractfile("MMMB_ar.tsv").read()
    assert b"assay-picture-" in first
    manifest = read_manifest(store, "MMMB", ref.digest)
    assert (manifest.cls, manifest.family) == ("ConcatDataset", "mcq_concat")


async def test_pictures_that_the_members_share_are_kept_once(tmp_path):
    service, store = make_service(tmp_path / "cache")
    sources = _sources(tmp_path / "m", lambda _place: mcq_rows(3))
    ref, _ = await ready(service, _collection(sources))
    assert read_manifest(store, "MMMB", ref.digest).picture_count == 3


async def test_equal_members_make_the_same_collection_byte_for_byte(tmp_path):
    parts = []
    for place in ("one", "two"):
        service, store = make_service(tmp_path / place)
        ref, _ = await ready(service, _collection(_sources(tmp_path / "m", _numbered)))
        found = store.list(keys.prepared("MMMB", ref.digest))
        parts.append({key: store.get(key) for key in found})
    assert parts[0] == parts[1]


async def test_a_changed_member_is_another_collection(tmp_path):
    service, _ = make_service(tmp_path / "cache")
    sources = _sources(tmp_path / "m", _numbered)
    first, _ = await ready(service, _collection(sources))
    again, told = await ready(service, _collection(sources))
    other = _sources(tmp_path / "n", lambda place: _numbered(place + (place == 5)))
    changed, _ = await ready(service, _collection(other))
    assert (first, told) == (again, [])
    assert changed.digest != first.digest


async def test_a_collection_and_its_member_are_prepared_at_the_same_time(tmp_path):
    service, _ = make_service(tmp_path / "cache")
    sources = _sources(tmp_path / "m", _numbered)
    alone = sources["MMMB_tr"]
    wanted = request("MMMB_tr", path=alone.path, md5=alone.md5)
    (whole, _), (part, _) = await asyncio.gather(
        ready(service, _collection(sources)), ready(service, wanted)
    )
    assert (whole.sample_count, part.sample_count) == (15, 3)


async def test_a_member_that_is_another_file_is_refused_by_its_name(tmp_path):
    service, _ = make_service(tmp_path / "cache")
    sources = _sources(tmp_path / "m", _numbered)
    sources["MMMB_pt"] = SourceOverride(path=sources["MMMB_pt"].path, md5="0" * 32)
    with pytest.raises(DigestMismatchError, match="MMMB_pt"):
        await ready(service, _collection(sources))


async def test_a_file_for_the_collection_itself_is_refused(tmp_path):
    service, _ = make_service(tmp_path / "cache")
    path = write_tsv(tmp_path / "any.tsv", mcq_rows(2))
    with pytest.raises(DatasetError, match="no file of its own") as refused:
        await ready(service, request("MMMB", path=str(path)))
    assert refused.value.cure == "give those their sources"


async def test_a_second_model_costs_no_codec_work_unless_it_wants_other_pictures(
    tmp_path,
):
    preparer = CountingPreparer(tmp_path / "cache" / "work")
    service, _ = make_service(tmp_path / "cache", preparer=preparer)
    sources = _sources(tmp_path / "m", _numbered)
    first, _ = await ready(service, _collection(sources))
    again, _ = make_service(tmp_path / "cache", preparer=preparer)
    for asking in (service, again):
        assert (await ready(asking, _collection(sources)))[0] == first
    assert preparer.children == 1
    small = PicturePolicy(img_size=50)
    assert (await ready(again, _collection(sources, small)))[0] != first
    assert preparer.children == 2
