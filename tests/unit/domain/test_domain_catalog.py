"""The catalog says what each documented name is, without importing VLMEvalKit."""

from __future__ import annotations

from assay.domain import catalog
from assay.domain.catalog import Family, JudgeNeed


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


def test_every_refused_name_says_why_and_what_to_do():
    refused = [entry for name in catalog.names() if not (entry := _get(name)).supported]
    assert len(refused) == 60
    assert all(entry.refusal and entry.cure for entry in refused)


def test_what_is_supported_has_answers_and_can_do_without_a_judge():
    supported = [entry for name in catalog.names() if (entry := _get(name)).supported]
    assert all(entry.answers for entry in supported)
    assert JudgeNeed.MANDATORY not in {entry.judge for entry in supported}
    assert {entry.family for entry in supported} == {
        Family.MCQ,
        Family.YES_NO,
        Family.VQA,
    }


def _get(name):
    entry = catalog.lookup(name)
    assert entry is not None
    return entry
