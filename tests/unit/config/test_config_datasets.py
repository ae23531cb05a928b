"""Which datasets a run may name: the 89 documented ones, collections, renamed ones, and what a limit does."""

from __future__ import annotations

import pytest

from assay.config.admission import admit_dataset, check_apart, dataset_notes
from assay.config.source import SourceConfig
from assay.domain import catalog
from assay.domain.catalog import State
from assay.domain.errors import ConfigError
from assay.domain.run import Dataset, SourceOverride

USABLE = {State.SCORES, State.INFER_ONLY, State.NEEDS_JUDGE}


def admit(name, *, sources=None, lmu_data=(), base_dir="/base", limit=None):
    return admit_dataset(
        name,
        "eval_config.data[0]",
        sources=sources or {},
        lmu_data=lmu_data,
        base_dir=base_dir,
        limit=limit,
    )


@pytest.mark.parametrize("name", catalog.names())
def test_every_documented_name_is_admitted_or_refused_with_the_reason_and_the_cure(
    name,
):
    entry = catalog.lookup(name)
    if entry.state in USABLE:
        assert admit(name).name == (entry.renamed or name)
        return
    with pytest.raises(ConfigError) as refused:
        admit(name)
    assert (refused.value.path, refused.value.why) == (
        "eval_config.data[0]",
        f"{name}: {entry.reason}",
    )
    assert refused.value.cure == entry.cure


def test_a_collection_takes_the_sources_of_its_members(tmp_path):
    sources = {"MMMB_cn": SourceConfig(url="http://here/cn.tsv", md5="A" * 32)}
    found = admit("MMMB", sources=sources, base_dir=tmp_path)
    assert [member.name[-2:] for member in found.members] == [
        "ar",
        "cn",
        "en",
        "pt",
        "ru",
        "tr",
    ]
    assert found.source is None
    assert found.members[1].source == SourceOverride(
        url="http://here/cn.tsv", md5="a" * 32
    )
    assert {m.source for m in found.members if m.name != "MMMB_cn"} == {None}
    assert dataset_notes([found], sources, None, ["MMMB"]) == []


def test_a_renamed_dataset_runs_under_its_new_name_and_that_is_said():
    found = admit("GMAI_mm_bench_VAL")
    assert found == Dataset(name="GMAI-MMBench_VAL")
    (note,) = dataset_notes([found], {}, None, ["GMAI_mm_bench_VAL"])
    assert "GMAI-MMBench_VAL" in note
    assert "runs under that name" in note


def test_a_file_under_the_old_name_is_a_custom_dataset_and_that_is_said():
    sources = {"GMAI_mm_bench_VAL": SourceConfig(url="http://here/mine.tsv")}
    found = admit("GMAI_mm_bench_VAL", sources=sources)
    assert found.name == "GMAI_mm_bench_VAL"
    (note,) = dataset_notes([found], sources, None, ["GMAI_mm_bench_VAL"])
    assert "custom dataset" in note


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("HallusionBench", "fAcc"),
        ("OCRBench", "1000 rows"),
        ("MMBench_DEV_EN", "rotations"),
        ("CCBench", "rotations"),
    ],
)
def test_a_limit_that_changes_what_a_figure_means_is_said(name, words):
    (note,) = dataset_notes([Dataset(name=name)], {}, 20, [name])
    assert words in note
    assert dataset_notes([Dataset(name=name)], {}, None, [name]) == []


def test_a_limit_on_a_plain_dataset_needs_no_word():
    assert dataset_notes([Dataset(name="MMStar")], {}, 20, ["MMStar"]) == []


@pytest.mark.parametrize("name", ["MMMB", "MTL_MMBench_DEV"])
def test_a_limit_on_a_collection_is_refused_and_the_members_are_named(name):
    with pytest.raises(ConfigError, match="members without rows") as refused:
        admit(name, limit=6)
    assert all(member in refused.value.cure for member in catalog.lookup(name).members)


def test_a_collection_beside_one_of_its_members_is_refused_as_they_share_files():
    alone = [admit("MMMB"), admit("POPE")]
    check_apart(alone, "eval_config.data")
    with pytest.raises(ConfigError, match=r"MMMB_cn is a part of MMMB.*remove MMMB_cn"):
        check_apart([*alone, admit("MMMB_cn")], "eval_config.data")
