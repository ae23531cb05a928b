"""Packs hold every distinct picture once and stay below their limit."""

from __future__ import annotations

from assay.vlmevalkit.prepare_packs import PackWriter


def test_packs_are_closed_before_they_grow_beyond_the_limit(tmp_path):
    writer = PackWriter(tmp_path, limit=10)
    stored = [writer.add(bytes([n]) * 4) for n in range(5)]
    assert writer.close() == 5
    assert [each.pack for each in stored] == [0, 0, 1, 1, 2]
    assert [each.offset for each in stored] == [0, 4, 0, 4, 0]
    assert writer.parts == {
        "packs/00000.pack": 8,
        "packs/00001.pack": 8,
        "packs/00002.pack": 4,
    }


def test_a_picture_of_equal_bytes_is_kept_once(tmp_path):
    writer = PackWriter(tmp_path)
    first, second = writer.add(b"jpeg"), writer.add(b"jpeg")
    assert writer.close() == 1
    assert first == second
    assert (tmp_path / "packs" / "00000.pack").read_bytes() == b"jpeg"


def test_a_picture_larger_than_a_pack_gets_its_own(tmp_path):
    writer = PackWriter(tmp_path, limit=4)
    stored = [writer.add(data) for data in (b"ab", b"0123456789", b"cd")]
    writer.close()
    assert [each.pack for each in stored] == [0, 1, 2]
