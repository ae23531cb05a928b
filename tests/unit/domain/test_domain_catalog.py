"""The catalog says what each documented name is, without importing VLMEvalKit."""

from __future__ import annotations

from collections import Counter

from assay.domain import catalog
from assay.domain.catalog import Family, JudgeNeed, State


def test_all_89_documented_names_are_known():
    assert len(catalog.names()) == 89


def test_a_plain_name_is_supported_and_has_upstreams_address_and_md5():
    entry = catalog.lookup("MMStar")
    assert entry is not None
    assert entry.supported
    assert entry.family is Family.MCQ
    assert entry.url.endswith("/VLMEval/MMStar.tsv")
    assert entry.md5 == "e1ecd2140806c1b1bbf54b43372efb9e"


def test_names_are_matched_exactly():
    assert catalog.lookup("mmstar") is None


def test_49_names_are_scored_by_rules_6_by_a_judge_13_are_asked_alone_21_are_refused():
    states = Counter(_get(name).state for name in catalog.names())
    assert states == {
        State.SCORES: 49,
        State.INFER_ONLY: 13,
        State.NEEDS_JUDGE: 6,
        State.NOT_YET: 21,
    }


def test_every_refused_name_says_why_and_what_to_do():
    refused = [entry for name in catalog.names() if not (entry := _get(name)).supported]
    assert all(entry.reason and entry.cure for entry in refused)


def test_what_scores_has_answers_and_can_do_without_a_judge():
    scores = [e for n in catalog.names() if (e := _get(n)).state is State.SCORES]
    assert all(entry.answers and not entry.reason for entry in scores)
    assert JudgeNeed.MANDATORY not in {entry.judge for entry in scores}
    later = {Family.MULTI_TURN, Family.VIDEO}
    assert {entry.family for entry in scores} == set(Family) - later


def test_every_member_of_a_collection_is_a_name_of_its_own_with_an_address():
    members = [m for n in catalog.names() for m in _get(n).members]
    assert len(members) == 12
    assert all(_get(member).url and _get(member).md5 for member in members)


def test_a_renamed_dataset_leads_to_its_new_name_which_is_not_counted_as_documented():
    entry = _get(_get("GMAI_mm_bench_VAL").renamed)
    assert entry.name == "GMAI-MMBench_VAL"
    assert entry.url.endswith("/GMAI-MMBench_VAL.tsv")
    assert entry.name not in catalog.names()


def _get(name):
    entry = catalog.lookup(name)
    assert entry is not None
    return entry
