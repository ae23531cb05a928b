"""The pinned spec keeps a run exactly."""

import pytest

from assay.domain.errors import ConfigError, CorruptError
from assay.domain.run import Dataset, Decoding, Endpoint, Model, Run, SourceOverride
from assay.store.spec import (
    PinnedSpec,
    decode_pinned,
    decode_run,
    encode_pinned,
    encode_run,
)

RUN = Run(
    models=(
        Model(
            key="m",
            kind="CustomAPIModel",
            served_name="m",
            endpoint=Endpoint(api_base="http://127.0.0.1:1/v1/chat/completions"),
            decoding=Decoding(extra={"top_p": 0.5, "stop": ["a"], "seed": None}),
        ),
    ),
    datasets=(Dataset(name="D", source=SourceOverride(path="/x.tsv")),),
    limit=5,
    mirrors={"https://a/": "https://b/"},
    notes=("said",),
)


def test_a_run_comes_back_equal():
    assert decode_run(encode_run(RUN)) == RUN


def test_a_pinned_spec_comes_back_equal():
    pinned = PinnedSpec(run_id="r", started="t", spec_digest="d", run=RUN)
    assert decode_pinned(encode_pinned(pinned), "k") == pinned


def test_a_broken_spec_is_refused_with_its_place():
    with pytest.raises(ConfigError, match="cannot be read"):
        decode_run(b'{"models": 1}')
    with pytest.raises(CorruptError, match="runs/r/spec"):
        decode_pinned(b"{", "runs/r/spec.json")
