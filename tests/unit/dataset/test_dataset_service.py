"""Datasets become ready once, from what is named, found or official; what is not usable says why."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
import zlib

import pytest

from assay.domain.errors import DatasetError, DigestMismatchError, NotFoundError
from assay.domain.prepared import PrepareStage
from assay.domain.prompt import PicturePart, TextPart
from assay.store import keys
from assay.store.prepared import PreparedDataset
from support.dataset_process import mcq_rows, picture_cell, write_tsv
from support.dataset_service import make_service, ready, request


@pytest.fixture
def rows():
    return mcq_rows(4)


def png_declaring(width: int, height: int) -> str:
    """A PNG of a few bytes that says it is huge."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(64))), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )  # fmt: skip
    return base64.b64encode(data).decode()


async def test_a_table_of_ones_own_becomes_prompts_with_pictures(tmp_path, rows):
    service, store = make_service(tmp_path / "cache")
    path = write_tsv(tmp_path / "any.tsv", rows)
    ref, told = await ready(service, request("Mine", path=str(path)))
    dataset = PreparedDataset.open(store, "Mine", ref.digest)
    assert dataset.sample_ids == ("0", "1", "2", "3")
    picture, text = dataset.prompt(2).turns[0].parts
    assert isinstance(picture, PicturePart)
    data = store.get_range(picture.key, picture.offset, picture.length)
    assert hashlib.sha256(data).hexdigest() == picture.digest
    assert isinstance(text, TextPart)
    assert text.text.startswith("Question: What is number 2?\nOptions:\nA. red\n")
    stages = [progress.stage for progress in told]
    assert stages[0] is PrepareStage.VERIFYING
    assert stages[-1] is PrepareStage.PREPARING
    assert (told[-1].done, told[-1].total) == (4, 4)


async def test_what_is_prepared_is_found_without_its_source(tmp_path, rows):
    path = write_tsv(tmp_path / "any.tsv", rows)
    service, _ = make_service(tmp_path / "cache")
    first, _ = await ready(service, request("Mine", path=str(path)))
    again, _ = make_service(tmp_path / "cache")
    second, told = await ready(again, request("Mine", path=str(path)))
    assert first == second
    assert told == []


async def test_callers_at_the_same_time_share_one_preparation(tmp_path, rows):
    service, _ = make_service(tmp_path / "cache")
    wanted = request("Mine", path=str(write_tsv(tmp_path / "any.tsv", rows)))
    outcomes = await asyncio.gather(*(ready(service, wanted) for _ in range(3)))
    assert len({ref.digest for ref, _ in outcomes}) == 1
    assert not any(
        PrepareStage.WAITING in [p.stage for p in told] for _, told in outcomes
    )


async def test_a_changed_file_is_another_dataset(tmp_path, rows):
    service, _ = make_service(tmp_path / "cache")
    path = write_tsv(tmp_path / "any.tsv", rows)
    first, _ = await ready(service, request("Mine", path=str(path)))
    write_tsv(path, rows[:3])
    second, _ = await ready(service, request("Mine", path=str(path)))
    assert first.digest != second.digest
    assert second.sample_count == 3


async def test_a_file_in_lmu_data_is_used_in_place(tmp_path, rows):
    write_tsv(tmp_path / "Mine.tsv", rows)
    service, store = make_service(tmp_path / "cache", lmu_data=tmp_path)
    ref, _ = await ready(service, request("Mine"))
    assert ref.sample_count == 4
    assert store.size(keys.blob(ref.source_digest)) is None


async def test_an_official_file_that_does_not_match_is_refused_and_left_alone(
    tmp_path, rows
):
    path = write_tsv(tmp_path / "MMStar.tsv", rows)
    before = path.read_bytes()
    service, _ = make_service(tmp_path / "cache", lmu_data=tmp_path)
    with pytest.raises(DigestMismatchError, match="e1ecd2140806c1b1") as refused:
        await ready(service, request("MMStar"))
    assert "move the file away" in str(refused.value.cure)
    assert path.read_bytes() == before


async def test_a_digest_of_the_users_own_replaces_upstreams(tmp_path, rows):
    path = write_tsv(tmp_path / "any.tsv", rows)
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    service, _ = make_service(tmp_path / "cache")
    ref, _ = await ready(service, request("MMStar", path=str(path), md5=md5.upper()))
    assert ref.source_md5 == md5
    with pytest.raises(DigestMismatchError, match="dataset_sources"):
        await ready(service, request("MMStar", path=str(path), sha256="0" * 64))


@pytest.mark.parametrize(
    ("kind", "given", "verb"),
    [
        ("md5", {"md5": "0" * 32}, "correct"),
        ("sha256", {"sha256": "0" * 64}, "correct"),
        ("md5", {}, "give"),
    ],
)
async def test_the_digest_of_a_named_file_is_put_right_where_it_is_named(
    tmp_path, rows, kind, given, verb
):
    path = write_tsv(tmp_path / "any.tsv", rows)
    digest = hashlib.new(kind, path.read_bytes()).hexdigest()
    service, _ = make_service(tmp_path / "cache")
    with pytest.raises(DigestMismatchError) as refused:
        await ready(service, request("MMStar", path=str(path), **given))
    assert refused.value.cure == (
        f"{verb} `dataset_sources.MMStar.{kind}` (this file's is {digest}), or name the right file"
    )


async def test_one_bad_picture_costs_one_sample(tmp_path, rows):
    rows[1]["image"] = base64.b64encode(b"GIF89a, or so it says" * 9).decode()
    rows[3]["image"] = png_declaring(20_000, 20_000)
    service, store = make_service(tmp_path / "cache")
    wanted = request("Mine", path=str(write_tsv(tmp_path / "any.tsv", rows)))
    ref, _ = await ready(service, wanted)
    invalid = PreparedDataset.open(store, "Mine", ref.digest).invalid
    assert sorted(invalid) == [1, 3]
    assert invalid[1].startswith("the picture cannot be decoded")
    assert "20000 x 20000 pixels, more than" in invalid[3]


async def test_code_in_a_cell_meets_shut_doors(tmp_path, rows):
    trace = tmp_path / "owned"
    rows[0]["index"] = f"__import__('os').system('touch {trace}')"
    rows[1]["index"] = f"open({str(trace)!r}, 'w').write('x')"
    service, store = make_service(tmp_path / "cache")
    wanted = request("Mine", path=str(write_tsv(tmp_path / "any.tsv", rows)))
    ref, _ = await ready(service, wanted)
    ids = PreparedDataset.open(store, "Mine", ref.digest).sample_ids
    assert not trace.exists()
    assert ids[0] == rows[0]["index"]


REFUSED = {
    "no index": (lambda r: [x.pop("index") for x in r], r"no column `index`"),
    "no question": (lambda r: [x.pop("question") for x in r], r"no column `question`"),
    "no answer": (lambda r: [x.pop("answer") for x in r], r"no column `answer`"),
    "no image": (lambda r: [x.pop("image") for x in r], r"no column `image`"),
    "no options": (lambda r: [x.pop("B") for x in r], r"no columns `A` and `B`"),
    "other case": (lambda r: [x.update(Question=x.pop("question")) for x in r], r"`Question` as `q"),
    "twice": (lambda r: r[2].update(index=1), r"more than one row with `index` '1'"),
    "lost": (lambda r: r[2].update(image="77"), r"Mine: .* `index` '2' refers to row '77'"),
    "empty": (lambda r: [x.update(image="") for x in r], r"no row with a picture"),
    "code": (lambda r: r[0].update(image=f"[print(1), '{'A' * 80}']"), r"neither base64 nor"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_a_table_that_cannot_be_used_names_the_trouble_and_the_cure(
    tmp_path, rows, case
):
    spoil, message = REFUSED[case]
    spoil(rows)
    service, _ = make_service(tmp_path / "cache")
    wanted = request("Mine", path=str(write_tsv(tmp_path / "any.tsv", rows)))
    with pytest.raises(DatasetError) as refused:
        await ready(service, wanted)
    assert refused.match(message)
    assert refused.value.cure
    assert await service.list() == []
    assert not list((tmp_path / "cache" / "work").iterdir())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My_MMSci", "special way"),
        ("../up", "cannot be a dataset's name"),
    ],
)
async def test_names_that_would_be_scored_otherwise_are_refused(
    tmp_path, rows, name, message
):
    path = write_tsv(tmp_path / "any.tsv", rows)
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    service, _ = make_service(tmp_path / "cache")
    with pytest.raises(DatasetError, match=message):
        await ready(service, request(name, path=str(path), md5=md5))


async def test_a_name_without_any_file_says_where_was_looked(tmp_path):
    service, _ = make_service(tmp_path / "cache", lmu_data=tmp_path)
    with pytest.raises(DatasetError, match=r"Mine\.tsv.*dataset_sources"):
        await ready(service, request("Mine"))


async def test_a_table_that_is_none_is_named_with_its_dataset(tmp_path):
    path = tmp_path / "any.tsv"
    path.write_text("index\timage\tquestion\tanswer\n")
    service, _ = make_service(tmp_path / "cache")
    with pytest.raises(DatasetError, match=f"dataset Mine from {path}: .* no rows"):
        await ready(service, request("Mine", path=str(path)))


async def test_a_missing_path_is_named(tmp_path):
    service, _ = make_service(tmp_path / "cache")
    with pytest.raises(DatasetError, match="there is no file /nowhere"):
        await ready(service, request("Mine", path="/nowhere/x.tsv"))


async def test_prepared_datasets_can_be_listed_and_deleted(tmp_path, rows):
    service, _ = make_service(tmp_path / "cache")
    wanted = request("Mine", path=str(write_tsv(tmp_path / "any.tsv", rows)))
    ref, _ = await ready(service, wanted)
    assert await service.list() == [ref]
    assert await service.get("Mine", ref.digest) == ref
    await service.delete("Mine", ref.digest)
    with pytest.raises(NotFoundError):
        await service.get("Mine", ref.digest)


async def test_equal_pictures_are_kept_once(tmp_path, rows):
    for row in rows:
        row["image"] = picture_cell(1)
    rows[3]["image"] = "0"
    service, store = make_service(tmp_path / "cache")
    wanted = request("Mine", path=str(write_tsv(tmp_path / "any.tsv", rows)))
    ref, _ = await ready(service, wanted)
    dataset = PreparedDataset.open(store, "Mine", ref.digest)
    assert dataset.manifest.picture_count == 1
    assert len({dataset.prompt(n).turns[0].parts[0] for n in range(4)}) == 1
