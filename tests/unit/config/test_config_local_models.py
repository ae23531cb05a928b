"""Local models of the file: what reaches the class, what is dropped and said, and what names the weights."""

import copy
from pathlib import Path

import pytest

from assay.config.upstream_models import (
    class_of,
    registry,
    takes,
    transformers_range,
    upstream_root,
)
from assay.domain.identity import model_identity, spec_digest
from support.config_files import changed, resolved

WEIGHTS = {"config.json": "{}", "model.safetensors": "x"}


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "models" / "Qwen-VL-Chat"
    place.mkdir(parents=True)
    for name, text in WEIGHTS.items():
        (place / name).write_text(text)
    return tmp_path


def asked(folder: Path, **keys):
    entry = {"name": "qwen_chat", "model_path": "models/Qwen-VL-Chat", **keys}
    return resolved(changed(eval_config__model=[entry]), base_dir=folder).run


def test_the_seeds_dict_runs_with_what_its_class_takes_and_the_rest_is_said(folder):
    run = asked(folder, video_llm=False, max_new_tokens=1024)
    local = run.models[0].local
    assert local.weights == str(folder / "models/Qwen-VL-Chat")
    assert dict(local.arguments) == {"max_new_tokens": 1024}
    assert [note for note in run.notes if "video_llm is dropped" in note]


def test_a_local_model_is_called_and_prepared_for_by_its_name(folder):
    model = asked(folder).models[0]
    assert (model.key, model.kind, model.pictures.files) == (
        "qwen_chat",
        "qwen_chat",
        True,
    )


def test_the_weights_bytes_name_the_model_wherever_they_lie(folder):
    before = asked(folder)
    moved = folder / "elsewhere"
    (folder / "models").rename(moved)
    after = asked(folder, model_path=str(moved / "Qwen-VL-Chat"))
    assert spec_digest(before) == spec_digest(after)


def test_other_bytes_are_another_model(folder):
    before = spec_digest(asked(folder))
    (folder / "models/Qwen-VL-Chat/model.safetensors").write_text("y")
    assert spec_digest(asked(folder)) != before


def test_where_it_runs_is_no_part_of_what_it_is(folder):
    one, other = asked(folder), asked(folder, gpus=2, python="/opt/other/bin/python")
    assert model_identity(one.models[0]) == model_identity(other.models[0])
    assert other.models[0].local.gpus == 2


def test_a_hubs_weights_are_taken_by_name_and_the_report_says_they_may_change():
    run = resolved(changed(eval_config__model=["qwen_chat"])).run
    assert run.models[0].local.weights == "Qwen/Qwen-VL-Chat"
    assert [note for note in run.notes if "`revision` pins them" in note]


def test_a_mirror_of_the_hub_is_where_weights_are_fetched_and_names_nothing():
    mirror = {"https://huggingface.co": "https://mirror.example"}
    plain = changed(eval_config__model=["qwen_chat"])
    mirrored = resolved(plain | {"mirrors": mirror}).run
    assert mirrored.models[0].local.hub == "https://mirror.example"
    assert spec_digest(mirrored) == spec_digest(resolved(plain).run)


def test_a_served_model_is_read_as_before():
    document = changed()
    assert resolved(copy.deepcopy(document)).run.models[0].local is None


@pytest.mark.parametrize(
    ("cls", "taken", "not_taken"),
    [
        ("QwenVLChat", {"max_new_tokens"}, {"video_llm"}),
        ("Qwen2VLChat", {"min_pixels", "fps", "use_vllm"}, {"num_beams"}),
        ("InternVLChat", {"version", "max_new_tokens"}, {"video_llm"}),
    ],
)
def test_what_a_class_takes_is_read_from_its_source(cls, taken, not_taken):

    found = class_of(upstream_root(), cls)
    assert all(takes(found, each) for each in taken)
    assert not any(takes(found, each) for each in not_taken)


def test_every_local_name_of_the_registry_has_a_class_with_weights():
    root = upstream_root()
    local = [model for model in registry(root).values() if model.local]
    assert len(local) > 300
    assert all(class_of(root, model.cls).weights for model in local)


def test_a_family_that_needs_an_older_transformers_is_known():
    wanted = transformers_range("qwen_chat")
    assert wanted.admits("4.33.3")
    assert not wanted.admits("5.23.0")
    assert transformers_range("Qwen2-VL-2B-Instruct").admits("5.23.0")
