"""Files and nested dicts: syntax, duplicates, bombs, and that nothing but ConfigError ever comes out."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.config import load_file, parse, resolve
from assay.config.evalconfig import EvalConfig
from assay.config.file import EvalFile
from assay.config.model import ModelConfig
from assay.config.read import LARGEST_FILE
from assay.config.reference import reference
from assay.domain.catalog import names
from assay.domain.errors import ConfigError
from support.config_files import changed, resolved

REPOSITORY = Path(__file__).parents[3]


def refused(tmp_path: Path, text: str | bytes, name: str = "eval.yaml") -> ConfigError:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load_file(path)
    return caught.value


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_yaml_json_and_dict_are_the_same_run(tmp_path, suffix):
    document = changed(eval_config__nproc=3)
    dump = yaml.safe_dump if suffix == ".yaml" else json.dumps
    path = tmp_path / f"eval{suffix}"
    path.write_text(dump(document))
    found = resolve(load_file(path), environ={}, lmu_data=(), base_dir=Path("/nowhere"))
    assert found.run == resolved(document).run


def test_a_yaml_syntax_error_names_line_and_column(tmp_path):
    error = refused(tmp_path, "work_dir: o\neval_config:\n  data: [a\n  x: 1\n")
    assert error.path.endswith("eval.yaml, line 4, column 4")


def test_a_json_syntax_error_names_line_and_column(tmp_path):
    error = refused(tmp_path, '{\n "a": ]}', "eval.json")
    assert error.path.endswith("eval.json, line 2, column 7")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("eval.yaml", "work_dir: a\nwork_dir: b\n"),
        ("eval.yaml", "eval_config:\n  limit: 1\n  limit: 2\n"),
        ("eval.json", '{"work_dir": "a", "work_dir": "b"}'),
    ],
)
def test_a_key_that_stands_twice_is_refused(tmp_path, name, text):
    assert "stands twice" in refused(tmp_path, text, name).why


def test_merged_keys_may_be_overridden(tmp_path):
    path = tmp_path / "eval.yaml"
    path.write_text(
        """
eval_config:
  data: [MMStar]
  model:
    - &first {name: CustomAPIModel, type: a, api_base: "http://h/v1/chat/completions"}
    - {<<: *first, type: b}
"""
    )
    assert [m.type for m in load_file(path).eval_config.model] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "keys and values"),
        ("- 1\n", "keys and values"),
        ("hello", "keys and values"),
        ("a: !!python/object/apply:os.system [ls]\n", "not YAML"),
        ("a: 2024-99-99\n", "not YAML"),
        ("a: &x [*x]\n", "refers to itself"),
        ("a: " + "[" * 200 + "]" * 200, "nested"),
        ("a: \x07", "not YAML"),
        (b"a: \xff\xfe", "UTF-8"),
        (b"a" * (LARGEST_FILE + 1), "larger"),
    ],
)
def test_what_is_no_config_at_all_is_refused(tmp_path, text, why):
    assert why in refused(tmp_path, text).why


def test_references_that_explode_are_refused_before_they_do(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "more than" in refused(tmp_path, "\n".join(lines)).why


@pytest.mark.parametrize("name", ["gone.yaml", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_file(tmp_path / name)


def test_a_json_file_of_endless_depth_is_refused(tmp_path):
    assert refused(tmp_path, "[" * 100_000, "eval.json").why


def test_eval_config_may_be_a_file_or_json_text(tmp_path):
    document = changed()
    path = tmp_path / "inner.yaml"
    path.write_text(yaml.safe_dump(document["eval_config"]))
    expected = parse(document)
    assert parse({**document, "eval_config": str(path)}) == expected
    assert (
        parse({**document, "eval_config": json.dumps(document["eval_config"])})
        == expected
    )


@pytest.mark.parametrize("value", [None, [], 3, "text"])
def test_what_is_no_map_is_refused(value):
    with pytest.raises(ConfigError, match="keys and values"):
        parse(value)


_keys = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        sorted(
            {
                *EvalFile.model_fields,
                *EvalConfig.model_fields,
                *ModelConfig.model_fields,
            }
        )
    ),
)
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=12),
    st.sampled_from(
        ["CustomAPIModel", "http://h/v1/chat/completions", "MMStar", 10**400]
    ),
)
_json = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(_keys, inner, max_size=6)
    ),
    max_leaves=25,
)
_entries = st.dictionaries(_keys, _json, max_size=5).map(
    lambda more: {**changed()["eval_config"]["model"][0], **more}
)
_files = st.fixed_dictionaries(
    {
        "eval_config": st.fixed_dictionaries(
            {
                "data": st.one_of(st.just(["MMStar"]), _json),
                "model": st.lists(_entries, max_size=2),
            },
            optional={
                key: _json
                for key in EvalConfig.model_fields
                if key not in {"data", "model"}
            },
        )
    },
    optional={key: _json for key in EvalFile.model_fields if key != "eval_config"},
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(st.dictionaries(_keys, _json, max_size=6), _files))
def test_nothing_but_a_config_error_ever_comes_out(document):
    with contextlib.suppress(ConfigError):
        resolved(document)


def test_the_reference_page_is_what_the_models_say():
    """`python -m assay.config.reference > docs/config.md` mends it."""
    assert (REPOSITORY / "docs" / "config.md").read_text("utf-8") == reference()


def test_the_reference_page_counts_what_becomes_of_every_documented_name():
    words = reference().partition("## Datasets")[2]
    counts = [int(n) for n in re.findall(r"^- (\d+) ", words, re.MULTILINE)]
    assert len(counts) == 3
    assert sum(counts) == len(names())
    assert f"the {len(names())} names" in words


@pytest.mark.parametrize("cls", [EvalFile, EvalConfig, ModelConfig])
def test_every_key_is_in_the_reference(cls):
    page = reference()
    assert not [key for key in cls.model_fields if f"`{key}`" not in page]


def test_every_key_of_upstreams_arguments_is_known():
    """Read from the source: importing vlmeval costs more than this test."""
    root = Path(yaml.__file__).parents[1]
    source = (root / "vlmeval" / "utils" / "arguments.py").read_text()
    body = source.split("class Arguments:")[1].split("def __post_init__")[0]
    keys = {
        line.split(":")[0].strip()
        for line in body.splitlines()
        if line.startswith("    ") and ":" in line and not line.strip().startswith("#")
    }
    assert len(keys) > 40
    assert keys <= set(EvalConfig.model_fields)
