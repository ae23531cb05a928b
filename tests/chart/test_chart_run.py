"""What becomes of an EvalScope file: an EvalRun without keys, and a Secret with them."""

import base64
import json

import pytest

from support.charts import named, refusal, rendered


def test_without_eval_config_the_platform_alone_is_installed(platform):
    kinds = {o["kind"] for o in rendered(platform)}
    assert "EvalRun" not in kinds
    assert {"Deployment", "StatefulSet", "Service", "NetworkPolicy"} <= kinds


def test_the_run_holds_the_file_as_it_was_written_but_for_its_keys(evaluation):
    run = named(rendered(evaluation), "EvalRun")
    expected = json.loads(json.dumps(evaluation))
    del expected["store"]
    del expected["eval_config"]["OPENAI_API_KEY"]
    del expected["eval_config"]["model"][0]["key"]
    assert run["spec"]["file"] == expected
    assert "secret" not in json.dumps(run["spec"]["file"])


def test_keys_stand_in_a_secret_by_the_place_of_their_model(evaluation):
    objects = rendered(evaluation)
    secret = named(objects, "Secret", "-keys")
    assert secret["stringData"] == {"model.0": "model-secret", "judge": "judge-secret"}
    assert named(objects, "EvalRun")["spec"]["keysSecret"] == "demo-assay-keys"


def test_a_model_without_a_key_has_one_that_says_so_since_its_pods_wait_for_it(
    evaluation,
):
    (model,) = evaluation["eval_config"]["model"]
    keyless = {k: v for k, v in model.items() if k != "key"} | {"type": "other"}
    evaluation["eval_config"]["model"].append(keyless)
    secret = named(rendered(evaluation), "Secret", "-keys")
    assert secret["stringData"]["model.1"] == "EMPTY"


def test_a_secret_of_ones_own_is_named_and_none_is_made(evaluation):
    objects = rendered({**evaluation, "existingSecret": "mine"})
    assert named(objects, "EvalRun")["spec"]["keysSecret"] == "mine"
    names = [o["metadata"]["name"] for o in objects if o["kind"] == "Secret"]
    assert "demo-assay-keys" not in names


def test_a_loopback_address_without_an_engine_is_refused_with_the_cure(evaluation):
    evaluation["eval_config"]["model"][0]["api_base"] = "http://localhost:8000/v1"
    said = refusal(evaluation)
    assert "eval_config.model.0.api_base" in said
    assert "models.Qwen2_5-VL-3B.serving" in said


VLLM = {"engine": "vllm", "image": "vllm:1", "model": "Qwen/Qwen2.5-VL-3B"}


def test_a_loopback_address_means_the_engine_that_is_launched(evaluation):
    evaluation["eval_config"]["model"][0]["api_base"] = "http://localhost:8000/v1"
    evaluation["models"] = {"Qwen2_5-VL-3B": {"serving": VLLM}}
    placement = named(rendered(evaluation), "EvalRun")["spec"]["placement"]
    assert placement["models"]["Qwen2_5-VL-3B"]["serving"] == VLLM


def test_an_engine_beside_a_server_elsewhere_is_refused(evaluation):
    evaluation["models"] = {"Qwen2_5-VL-3B": {"serving": VLLM}}
    assert "remove one of the two" in refusal(evaluation)


@pytest.mark.parametrize(
    ("serving", "said"),
    [
        ({"engine": "vllm"}, "serving.model: is missing"),
        ({"engine": "swift", "model": "m"}, "serving.trustRemoteCode: ms-swift always"),
    ],
)
def test_an_engine_that_cannot_start_is_refused_with_the_cure(
    evaluation, serving, said
):
    del evaluation["eval_config"]["model"][0]["api_base"]
    evaluation["models"] = {"Qwen2_5-VL-3B": {"serving": {"image": "i:1", **serving}}}
    assert said in refusal(evaluation)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"store": {}}, "store.endpoint: is empty"),
        ({"store": {"endpoint": "s3:9000", "demo": {"enabled": True}}}, "keep the one"),
        ({"store": {"endpoint": "http://s3:9000"}}, "write host[:port] alone"),
        ({"store": {"endpoint": "s3:9000"}}, "store.existingSecret: is empty"),
        ({"models": {"Other": {}}}, "models.Other: is no model of eval_config"),
    ],
)
def test_a_combination_that_cannot_work_is_refused_with_the_cure(
    evaluation, change, said
):
    assert said in refusal({**evaluation, **change})


def test_made_certificates_carry_the_name_that_clients_expect(platform):
    pair = named(rendered(platform), "Secret", "-tls")["stringData"]
    assert pair["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")
    assert base64.b64decode("".join(pair["tls.crt"].splitlines()[1:-1]))
