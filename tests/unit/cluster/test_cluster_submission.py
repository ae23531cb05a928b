"""From a file to an EvalRun and its keys: what is taken out, filled in, split off and refused."""

import json

import pytest

from assay.cluster.submission import name_of, submission_of
from assay.domain.errors import ConfigError
from support.cluster_release import FILE


def submitted(folder, *, name=None, environ=None, **changes):
    file = folder / "My eval.json"
    file.write_text(json.dumps({**FILE, **changes}))
    return submission_of(file, name, environ=environ or {})


def models(*entries):
    """FILE's eval_config with other models, each given by what differs from FILE's first."""
    config = FILE["eval_config"]
    base = config["model"][0]
    made = [{**base, **entry} for entry in entries]
    stripped = [{k: v for k, v in each.items() if v != "-"} for each in made]
    return {"eval_config": {**config, "model": stripped}}


def test_no_key_stays_in_the_spec_and_each_model_has_one_in_the_secret(tmp_path):
    judge = {"judge": "some-judge", "judge_base_url": "http://judge.example/v1"}
    config = FILE["eval_config"] | judge | {"OPENAI_API_KEY": "secret-of-the-judge"}
    done = submitted(tmp_path, eval_config=config, api_key="secret-of-a-task")
    assert "secret" not in json.dumps(done.spec["file"])
    expected = {"model.0": "secret-of-one", "model.1": "EMPTY"}
    assert done.keys == expected | {"judge": "secret-of-the-judge"}
    assert done.spec["keysSecret"] == "first-try-keys"


def test_a_key_that_only_this_machine_has_goes_into_the_secret(tmp_path):
    environ = {"OPENAI_API_KEY": "secret-of-mine"}
    done = submitted(tmp_path, environ=environ, **models({"key": None}))
    assert done.keys == {"model.0": "secret-of-mine"}
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        submitted(tmp_path, **models({"key": None}))


def test_an_address_that_only_this_machine_knows_is_written_out(tmp_path):
    environ = {
        "AZURE_OPENAI_ENDPOINT": "https://us.azure/",
        "AZURE_OPENAI_DEPLOYMENT_NAME": "d",
        "OPENAI_API_VERSION": "v",
    }
    changes = models({"use_azure": True, "api_base": "-"})
    (model,) = submitted(tmp_path, environ=environ, **changes).spec["file"][
        "eval_config"
    ]["model"]
    assert model["api_base"].startswith("https://us.azure/openai/deployments/d/chat/")


def test_what_eval_config_names_is_written_into_the_spec(tmp_path):
    named = tmp_path / "inner.json"
    named.write_text(json.dumps(FILE["eval_config"]))
    done = submitted(tmp_path, eval_config=str(named))
    assert done.spec["file"]["eval_config"]["data"] == ["MMBench_DEV_EN"]


def test_the_platforms_keys_of_one_run_become_its_placement(tmp_path):
    placed = {"models": {"one": {"replicas": 2}}, "queue": {"name": "q"}}
    done = submitted(tmp_path, suspend=True, **placed)
    assert (done.spec["placement"], done.spec["suspend"]) == (placed, True)
    assert not set(placed) & set(done.spec["file"])


def test_a_model_with_an_engine_beside_its_workers_needs_no_address(tmp_path):
    serving = {"engine": "vllm", "image": "i", "model": "w"}
    placed = {"models": {"one": {"serving": serving}}}
    done = submitted(tmp_path, **models({"api_base": "-"}), **placed)
    (model,) = done.spec["file"]["eval_config"]["model"]
    assert "api_base" not in model


def problems(tmp_path, **changes):
    with pytest.raises(ConfigError) as failure:
        submitted(tmp_path, **changes)
    return {problem.path: problem for problem in failure.value.problems}


def test_every_key_of_the_installed_platform_is_refused(tmp_path):
    assert set(problems(tmp_path, store={}, tls={}, images={})) == {
        "store",
        "tls",
        "images",
    }


def test_what_the_controller_refuses_is_named_as_in_the_file(tmp_path):
    loopback = models({"api_base": "http://localhost:1/v1/chat/completions"})
    (problem,) = problems(tmp_path, **loopback).values()
    assert problem.path == "eval_config.model[0].api_base"
    assert "spec." not in problem.cure
    placed = {"models": {"other": {"replicas": 2}}}
    assert list(problems(tmp_path, **placed)) == ["models.other"]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        *(({"run_name": "Nightly run"}, "nightly-run"), ({"run_name": ""}, "my-eval")),
        *(({"name": "given"}, "given"), ({"run_name": "日本"}, "evaluation")),
    ],
)
def test_a_run_is_named_after_the_option_the_file_or_its_name(tmp_path, given, name):
    assert submitted(tmp_path, **given).name == name


@pytest.mark.parametrize("name", ["A", "a_b", "a" * 64, "-a", "a.b"])
def test_a_name_that_kubernetes_does_not_take_is_refused_with_one_that_it_does(
    tmp_path, name
):
    (problem,) = problems(tmp_path, name=name).values()
    assert problem.path == "--name"
    assert name_of(name) in problem.cure
