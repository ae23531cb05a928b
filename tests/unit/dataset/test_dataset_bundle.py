"""A bundle brings datasets to a machine without network, whole and proven, or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile

import pytest

from assay.dataset import bundle
from assay.dataset.holdings import Holdings
from assay.domain.errors import (
    AssayError,
    ConflictError,
    CorruptError,
    DatasetError,
    NotFoundError,
    StoreFullError,
)
from support.dataset_caches import NAME, URL, fetched_cache, files_of
from support.dataset_service import make_service, ready, request


def quiet(_done, _total):
    pass


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The cache a bundle was made from, and the bundle."""
    cache = tmp_path_factory.mktemp("bundle") / "cache"
    fetched_cache(cache)
    target = cache.with_name("mine.zip")
    bundle.export(Holdings(cache), [NAME], target, quiet)
    return Holdings(cache), target


@pytest.fixture
def file(exported, tmp_path):
    return shutil.copy(exported[1], tmp_path / "mine.zip")


@pytest.fixture
def elsewhere(tmp_path):
    return Holdings(tmp_path / "elsewhere")


def rewritten(file, change):
    """A bundle whose members were changed by hand, its manifest sealed again."""
    with zipfile.ZipFile(file) as old:
        members = {name: old.read(name) for name in old.namelist()}
    change(members)
    if {"manifest.json", "manifest.sha256"} <= members.keys():
        seal = hashlib.sha256(members["manifest.json"]).hexdigest()
        members["manifest.sha256"] = seal.encode()
    with zipfile.ZipFile(file, "w") as new:
        for name, data in members.items():
            new.writestr(name, data)
    return file


def changed_manifest(change):
    def apply(members):
        document = json.loads(members["manifest.json"])
        change(document["datasets"][0])
        members["manifest.json"] = json.dumps(document).encode()

    return apply


async def test_an_imported_dataset_is_prepared_without_its_server(file, elsewhere):
    bundle.import_(elsewhere, file, quiet)
    service, _ = make_service(elsewhere.cache)
    ref, _ = await ready(service, request(NAME, url=URL))
    assert ref.sample_count == 3


async def test_a_table_of_ones_own_is_found_by_its_name_alone(file, elsewhere):
    bundle.import_(elsewhere, file, quiet)
    imported = elsewhere.cache / "imported"
    service, _ = make_service(elsewhere.cache, lmu_data=imported)
    ref, _ = await ready(service, request(NAME))
    assert ref.sample_count == 3


def test_what_was_imported_exports_to_the_same_bytes(file, elsewhere, tmp_path):
    bundle.import_(elsewhere, file, quiet)
    again = tmp_path / "again.zip"
    bundle.export(elsewhere, [NAME], again, quiet)
    assert again.read_bytes() == file.read_bytes()


def test_importing_twice_changes_nothing(file, elsewhere):
    bundle.import_(elsewhere, file, quiet)
    before = files_of(elsewhere.cache)
    bundle.import_(elsewhere, file, quiet)
    assert files_of(elsewhere.cache) == before


def spoilt(data: bytes):
    """A bundle cut short, and with one bit flipped, at many places."""
    for place in [*range(0, len(data), len(data) // 40), *range(-200, 0, 9)]:
        yield data[:place]
        flipped = bytearray(data)
        flipped[place] ^= 4
        yield bytes(flipped)


def test_any_flipped_bit_or_cut_imports_nothing_or_the_very_same(file, tmp_path):
    bundle.import_(Holdings(tmp_path / "good"), file, quiet)
    good, data = files_of(tmp_path / "good"), file.read_bytes()
    for number, bad in enumerate(spoilt(data)):
        file.write_bytes(bad)
        cache = tmp_path / str(number)
        try:
            bundle.import_(Holdings(cache), file, quiet)
        except CorruptError:
            assert files_of(cache) == {}
        else:
            # Bytes of a zip that mean nothing (dates, attributes) are no damage.
            assert files_of(cache) == good


HOSTILE = {
    "a member outside": lambda m: m.update({"../../evil": b"x"}),
    "an absolute member": lambda m: m.update({"/etc/evil": b"x"}),
    "a member nobody names": lambda m: m.update({"sha256/evil": b"x"}),
    "a member missing": lambda m: m.pop(next(n for n in m if "/" in n)),
    "no manifest": lambda m: m.pop("manifest.json"),
    "no seal": lambda m: m.pop("manifest.sha256"),
    "other bytes": lambda m: m.update({next(n for n in m if "/" in n): b"index\n"}),
    "a name that leaves": changed_manifest(lambda d: d.update(name="../evil")),
    "a digest that leaves": changed_manifest(lambda d: d["digests"].update(sha256="../../evil")),
    "a digest that is none": changed_manifest(lambda d: d["digests"].update(md5=1)),
    "a request for another file": changed_manifest(lambda d: d["requests"][0].update(md5="0" * 32)),
    "a request for a path": changed_manifest(lambda d: d["requests"][0].update(kind="LocalFile")),
    "a request of another form": changed_manifest(lambda d: d.update(requests=[[]])),
    "no list": lambda m: m.update({"manifest.json": b'{"schema": "assay.datasets/v1"}'}),
    "another schema": lambda m: m.update({"manifest.json": b'{"schema": "x", "datasets": []}'}),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_bundle_imports_nothing_and_leaves_nothing(
    file, elsewhere, tmp_path, kind
):
    rewritten(file, HOSTILE[kind])
    before = files_of(tmp_path)
    with pytest.raises(CorruptError, match="nothing was imported"):
        bundle.import_(elsewhere, file, quiet)
    assert files_of(tmp_path) == before


def test_compressed_members_are_refused_unread(file, elsewhere):
    with zipfile.ZipFile(file) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in members.items():
            new.writestr(name, data)
    with pytest.raises(CorruptError, match="compressed or encrypted"):
        bundle.import_(elsewhere, file, quiet)


def test_a_name_that_is_taken_by_another_table_is_refused(file, elsewhere, tmp_path):
    fetched_cache(tmp_path / "third", rows=2)
    other = tmp_path / "other.zip"
    bundle.export(Holdings(tmp_path / "third"), [NAME], other, quiet)
    bundle.import_(elsewhere, file, quiet)
    with pytest.raises(ConflictError, match="another dataset named Mine"):
        bundle.import_(elsewhere, other, quiet)


def test_a_damaged_raw_file_is_not_exported_and_no_file_is_left(exported, tmp_path):
    shutil.copytree(exported[0].cache, tmp_path / "cache")
    blob = next(
        path for path in (tmp_path / "cache" / "blobs").rglob("*") if path.is_file()
    )
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    with pytest.raises(CorruptError, match="is damaged"):
        bundle.export(Holdings(tmp_path / "cache"), [NAME], tmp_path / "x.zip", quiet)
    assert not list(tmp_path.glob("*.zip*"))
    assert not list(tmp_path.glob(".*"))


def test_what_is_not_here_is_not_exported_and_the_cure_is_named(elsewhere, tmp_path):
    with pytest.raises(NotFoundError) as refused:
        bundle.export(elsewhere, ["MMStar"], tmp_path / "x.zip", quiet)
    assert refused.value.cure == "assay datasets fetch MMStar"


def test_a_file_under_an_official_name_that_is_not_official_stays(exported, tmp_path):
    shutil.copytree(exported[0].cache, tmp_path / "cache")
    folder = tmp_path / "cache" / "datasets"
    (folder / NAME).rename(folder / "MMStar")
    for record in (folder / "MMStar" / "sources").iterdir():
        document = json.loads(record.read_text())
        document["request"]["kind"] = "LocalFile"
        record.write_text(json.dumps(document))
    with pytest.raises(DatasetError, match="is not VLMEvalKit's"):
        bundle.export(Holdings(tmp_path / "cache"), ["MMStar"], tmp_path / "x", quiet)


def test_what_is_no_file_says_so(elsewhere, tmp_path):
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(AssayError, match=str(path)) as refused:
            bundle.import_(elsewhere, path, quiet)
        assert refused.value.cure


def test_a_bundle_in_no_folder_is_refused_with_the_folder_named(exported, tmp_path):
    with pytest.raises(NotFoundError, match=f"no folder {tmp_path}/none") as refused:
        bundle.export(exported[0], [NAME], tmp_path / "none" / "x.zip", quiet)
    assert refused.value.cure == "make the folder, or name a file in another"


def test_a_bundle_over_a_folder_is_refused_and_leaves_nothing(exported, tmp_path):
    with pytest.raises(StoreFullError, match=f"cannot write {tmp_path}: "):
        bundle.export(exported[0], [NAME], tmp_path, quiet)
    assert list(tmp_path.parent.glob(f".{tmp_path.name}*")) == []


def test_a_bundle_that_does_not_fit_is_no_matter_of_the_cache(exported, tmp_path):
    shutil.copytree(exported[0].cache, tmp_path / "cache")
    folder = tmp_path / "cache" / "datasets" / NAME / "sources"
    for record in folder.iterdir():
        document = json.loads(record.read_text())
        document["digests"]["size"] = 2**60
        record.write_text(json.dumps(document))
    target = tmp_path / "x.zip"
    with pytest.raises(StoreFullError, match=f"cannot write {target}: ") as refused:
        bundle.export(Holdings(tmp_path / "cache"), [NAME], target, quiet)
    assert refused.value.cure == "make room, or name a place that can be written"
