"""What a cache holds is proven byte by byte, and taken away without touching what others need."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from assay.dataset.holdings import Holdings, parts_here, with_members
from assay.domain.errors import DatasetError, HeldError, NotFoundError
from assay.domain.prepared import manifest_to_json
from assay.store import keys
from assay.store.cache import alone, using
from assay.store.prepared import read_manifest
from support.dataset_caches import NAME, fetched_cache
from support.dataset_service import make_service, ready, request
from support.faulty_server import faulty_server


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    cache = tmp_path_factory.mktemp("holdings") / "cache"
    return cache, fetched_cache(cache)


@pytest.fixture
def ref(pristine):
    return pristine[1]


@pytest.fixture
def holdings(pristine, tmp_path):
    shutil.copytree(pristine[0], tmp_path / "cache")
    return Holdings(tmp_path / "cache")


def damages(holdings, name=NAME):
    return [each.what for each in holdings.verify(name, lambda _done, _total: None)]


def flip(path, place=-1):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_what_was_written_is_sound_and_every_byte_is_counted(holdings):
    told = []
    assert holdings.verify(NAME, lambda done, total: told.append((done, total))) == []
    done, total = told[-1]
    assert done == total == told[0][1] > 0


def parts():
    return ["table.tsv", "prompts.bin", "prompts.idx", "pictures.bin", "samples.json",
            "invalid.json", "packs/00000.pack"]  # fmt: skip


@pytest.mark.parametrize("part", parts())
def test_one_flipped_bit_of_any_part_is_found(holdings, ref, part):
    flip(holdings.store.path(keys.prepared(NAME, ref.digest, part)))
    (what,) = damages(holdings)
    assert f"prepared {part}: " in what
    assert "other bytes than were written" in what


def test_a_part_that_is_gone_or_shorter_is_found(holdings, ref):
    holdings.store.path(keys.prepared(NAME, ref.digest, "table.tsv")).unlink()
    short = holdings.store.path(keys.prepared(NAME, ref.digest, "prompts.idx"))
    short.write_bytes(short.read_bytes()[:-1])
    gone, shorter = sorted(damages(holdings), key=lambda what: "table" not in what)
    assert "No such file" in gone
    assert "bytes instead of" in shorter


def test_a_damaged_raw_source_is_found_and_the_cure_is_named(holdings, ref):
    flip(holdings.store.path(keys.blob(ref.source_digest)))
    (damage,) = holdings.verify(NAME, lambda _done, _total: None)
    assert damage.what.startswith("raw source: ")
    assert damage.cure == "assay datasets rm Mine, then assay datasets fetch Mine"


@pytest.mark.parametrize("place", ["manifest", "record"])
def test_what_cannot_be_read_is_damage_and_can_be_removed(holdings, ref, place):
    folder = holdings.cache / "datasets" / NAME
    record = next((folder / "sources").iterdir())
    manifest = folder / ref.digest / "manifest.json"
    {"manifest": manifest, "record": record}[place].write_text("{}")
    assert len(damages(holdings)) == 1
    holdings.remove(NAME)
    assert holdings.names() == []


def test_parts_without_digests_are_checked_by_their_size(holdings, ref):
    old = replace(read_manifest(holdings.store, NAME, ref.digest), part_digests={})
    key = keys.prepared(NAME, ref.digest, "manifest.json")
    holdings.store.put(key, manifest_to_json(old))
    assert damages(holdings) == []


def test_removing_frees_what_it_says_and_leaves_nothing(holdings):
    size = holdings.size(NAME)
    assert holdings.remove(NAME) == size > 0
    assert list((holdings.cache / "blobs").rglob("*/*/*")) == []
    with pytest.raises(NotFoundError, match="nothing of dataset Mine is here"):
        holdings.remove(NAME)


def test_a_file_that_another_dataset_needs_stays(holdings, ref):
    folder = holdings.cache / "datasets"
    shutil.copytree(folder / NAME / "sources", folder / "Twin" / "sources")
    holdings.remove(NAME)
    assert holdings.store.size(keys.blob(ref.source_digest))
    assert holdings.remove("Twin") > 0
    assert not holdings.store.size(keys.blob(ref.source_digest))


def test_the_users_own_file_is_never_removed(holdings, tmp_path):
    own = tmp_path / "own.tsv"
    own.write_bytes(b"index\n1\n")
    record = {
        "source": str(own),
        "fingerprint": {},
        "digests": {"md5": "", "sha256": "", "size": 8},
    }
    place = holdings.cache / "datasets" / "Own" / "sources" / "x.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(record))
    holdings.remove("Own")
    assert own.exists()


def test_what_a_run_uses_or_somebody_prepares_is_not_removed(holdings):
    with using(holdings.cache, [NAME]), pytest.raises(HeldError, match="used by a run"):
        holdings.remove(NAME)
    with alone(holdings.cache, NAME), pytest.raises(HeldError, match="being prepared"):
        holdings.remove(NAME)
    assert damages(holdings) == []


def test_runs_share_a_dataset(holdings):
    with using(holdings.cache, [NAME]), using(holdings.cache, [NAME, "Other"]):
        pass
    assert holdings.remove(NAME) > 0


def test_a_collection_stands_for_its_members(holdings):
    assert with_members("MMMB")[0] == "MMMB_ar"
    assert parts_here("MMMB", ["MMMB_en", "Mine"]) == ["MMMB_en"]
    assert parts_here("MMMB", ["MMMB", "MMMB_en"]) == ["MMMB", "MMMB_en"]
    assert parts_here("Mine", []) == ["Mine"]


async def test_a_fetch_that_brought_nothing_leaves_nothing_to_list(tmp_path):
    service, _ = make_service(tmp_path)
    async with faulty_server(b"x", "status:404") as server:
        with pytest.raises(DatasetError):
            await ready(service, request("X404", url=f"{server.url}/m.tsv"))
    assert (tmp_path / "partial" / "X404").is_dir()
    assert Holdings(tmp_path).names() == []


def test_a_part_of_a_download_is_here_and_not_whole(holdings):
    part = holdings.cache / "partial" / "Cut" / "x"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"inde")
    assert holdings.names() == ["Cut", NAME]
    assert [holdings.whole(name) for name in holdings.names()] == [False, True]


def test_what_is_not_here_has_a_cure_that_fits_its_name(holdings):
    def cure(call, *arguments):
        with pytest.raises(NotFoundError) as refused:
            call(*arguments)
        return refused.value.cure

    shown = "`assay datasets list --here` shows what is here"
    assert cure(holdings.remove, "Foo") == cure(holdings.remove, "MMStar") == shown
    assert cure(holdings.verify, "Foo", lambda *_told: None).startswith(shown)
    fetch = "assay datasets fetch MMStar"
    assert cure(holdings.verify, "MMStar", lambda *_told: None) == fetch
