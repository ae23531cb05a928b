"""What becomes of an EvalScope file: an EvalRun without keys, and a Secret with them."""

import base64
import json

import pytest

from assay.config.naming import model_key, unique_keys
from support.chart_values import CERT_MANAGER, EVERY, keyless, seed
from support.chart_values import evaluation as evaluation_of
from support.chart_values import platform as platform_of
from support.charts import named, pods, refusal, rendered


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
    del evaluation["eval_config"]["model"][0]["key"]
    del evaluation["eval_config"]["OPENAI_API_KEY"]
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
        ({"store": {"endpoint": "s3:9000/bucket"}}, "is no host[:port]"),
        (
            {"store": {"caSecret": "ca", "demo": {"enabled": True}}},
            "store.caSecret: the store is asked without TLS",
        ),
        (
            {"store": {"accessKey": "a", "demo": {"enabled": True}}},
            "store.accessKey: one of",
        ),
        (
            {
                "store": {
                    "endpoint": "s3",
                    "existingSecret": "s",
                    "accessKey": "a",
                    "secretKey": "k",
                }
            },
            "store.accessKey: there is a store.existingSecret as well",
        ),
        ({"queue": {"priorityClass": "p"}}, "queue.priorityClass: there is no"),
        ({"models": {"Other": {}}}, "models.Other: is no model of eval_config"),
        ({"models": {"m": {}}, "eval_config": None}, "models.m: says how a model of"),
        ({"judge": {"replicas": 2}}, "judge: eval_config names no judge model"),
        ({"existingSecret": "mine"}, "eval_config.model.0.key: there is an existing"),
        (
            {
                "tls": {
                    "existingSecret": "t",
                    "certManager": {"issuer": {"name": "i"}},
                }
            },
            "tls.certManager.issuer.name: there is a tls.existingSecret as well",
        ),
    ],
)
def test_a_combination_that_cannot_work_is_refused_with_the_cure(
    evaluation, change, said
):
    assert said in refusal({**evaluation, **change})


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            {"name": "qwen_chat", "model_path": "/weights/m"},
            "models.qwen_chat.local.claim: /weights/m is a folder of the pod",
        ),
        ({"name": "CustomAPIModel"}, "model.0.type: is missing"),
        ({"name": "CustomAPIModel", "type": "m"}, "models.m.serving"),
    ],
)
def test_a_model_that_cannot_be_asked_is_refused_with_the_cure(model, said):
    assert said in refusal(evaluation_of(model=[model]))


def test_a_file_of_ones_own_machine_is_refused_with_the_cure(platform):
    said = refusal({**platform, "eval_config": "eval.yaml"})
    assert "write its keys below eval_config" in said


def test_a_judges_key_beside_a_secret_of_ones_own_is_refused():
    values = keyless()
    values["eval_config"]["OPENAI_API_KEY"] = "judge-secret"
    assert "put it there as judge" in refusal({**values, "existingSecret": "mine"})


def test_models_of_one_folder_are_numbered_as_the_command_line_numbers_them():
    types = ["a/m.1", "b/m:1", "c/m_1", "M_1", "logs", "m_1-2"]
    models = [
        {"name": "CustomAPIModel", "type": each, "api_base": "http://e/v1/c"}
        for each in types
    ]
    said = refusal(evaluation_of(model=models) | {"models": {"none": {}}})
    keys = unique_keys([model_key(each, "type") for each in types])
    assert f"which has {', '.join(keys)}:" in said


def test_made_certificates_carry_the_name_that_clients_expect(platform):
    pair = named(rendered(platform), "Secret", "-tls")["stringData"]
    assert pair["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")
    assert base64.b64decode("".join(pair["tls.crt"].splitlines()[1:-1]))


def test_an_issuer_of_cert_manager_makes_the_certificate_that_pods_mount():
    objects = rendered(CERT_MANAGER)
    certificate = named(objects, "Certificate")["spec"]
    assert certificate["dnsNames"] == ["assay"]
    assert certificate["issuerRef"]["name"] == "ca"
    volumes = pods(objects)["demo-assay-aggregator"]["volumes"]
    mounted = [v["secret"]["secretName"] for v in volumes if v["name"] == "tls"]
    assert mounted == [certificate["secretName"]] == ["demo-assay-certificate"]
    made = [o["metadata"]["name"] for o in objects if o["kind"] == "Secret"]
    assert made == ["demo-assay-store"]


def test_the_seeds_file_is_rendered_once_its_model_has_an_engine():
    run = named(rendered(EVERY["the seed's file with an engine"]), "EvalRun")
    told = seed()
    del told["eval_config"]["model"][0]["key"]
    assert run["spec"]["file"] == told
    assert "models.Qwen2_5-VL-3B-Instruct.serving" in refusal(
        {**seed(), **platform_of()}
    )


def test_jobs_of_a_finished_run_go_after_the_seconds_that_were_said(evaluation):
    spec = named(rendered(EVERY["a queue, suspended"]), "EvalRun")["spec"]
    assert (spec["ttlSecondsAfterFinished"], spec["suspend"]) == (0, True)
    assert (
        "ttlSecondsAfterFinished" not in named(rendered(evaluation), "EvalRun")["spec"]
    )
