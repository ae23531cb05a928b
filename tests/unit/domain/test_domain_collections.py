"""What of a collection's members is part of a run's identity."""

from __future__ import annotations

from dataclasses import replace

from assay.domain.identity import spec_digest
from assay.domain.run import Dataset, Endpoint, Model, Run, SourceOverride

MODEL = Model(
    key="m",
    kind="CustomAPIModel",
    served_name="m",
    endpoint=Endpoint(api_base="http://127.0.0.1:9/v1/chat/completions"),
)


def _digest(**sources):
    members = tuple(
        Dataset(name=name, source=sources.get(name)) for name in ("MMMB_ar", "MMMB_cn")
    )
    return spec_digest(
        Run(models=(MODEL,), datasets=(Dataset(name="MMMB", members=members),))
    )


def test_the_digest_of_a_members_file_is_part_of_a_runs_identity():
    one = SourceOverride(path="/a.tsv", md5="1" * 32)
    assert _digest(MMMB_ar=one) != _digest()
    assert _digest(MMMB_ar=one) != _digest(MMMB_cn=one)
    assert _digest(MMMB_ar=one) != _digest(MMMB_ar=replace(one, md5="2" * 32))


def test_where_a_members_file_is_and_how_members_are_called_are_not():
    plain = Run(models=(MODEL,), datasets=(Dataset(name="MMMB"),))
    assert _digest(MMMB_ar=SourceOverride(url="http://here/a.tsv")) == _digest()
    assert spec_digest(plain) == _digest()
