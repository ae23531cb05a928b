"""A local model in a cluster: its worker's image, GPUs and weights, and what is refused beforehand."""

import msgspec
import pytest

from assay.controller.evalrun import read
from assay.domain.errors import ConfigError
from assay.domain.run import Model
from assay.process.configs import InferConfig
from support.evalruns import evalrun
from support.local_pods import ENTRY, local_spec, local_workers


def pod(**changed):
    return local_workers(**changed)["spec"]["template"]["spec"]


def container(**changed):
    (only,) = pod(**changed)["containers"]
    return only


def test_its_worker_has_the_image_with_torch_and_a_gpu():
    assert container()["image"] == "torch:1"
    assert container()["resources"]["limits"] == {"nvidia.com/gpu": "1"}


def test_gpus_come_on_top_of_what_its_resources_say():
    given = {"limits": {"memory": "20Gi"}}
    made = container(resources=given, local={"claim": "weights", "gpus": 2})
    assert made["resources"]["limits"] == {"memory": "20Gi", "nvidia.com/gpu": "2"}


def test_its_weights_are_mounted_for_reading():
    (volume,) = [each for each in pod()["volumes"] if each["name"] == "weights"]
    (mount,) = [e for e in container()["volumeMounts"] if e["name"] == "weights"]
    assert volume["persistentVolumeClaim"] == {"claimName": "weights", "readOnly": True}
    assert (mount["mountPath"], mount["readOnly"]) == ("/weights", True)


def test_no_key_has_to_be_there_for_it():
    assert "key" not in [each["name"] for each in pod()["volumes"]]


def test_the_worker_is_told_what_to_build():
    (variable,) = container()["env"]
    config = InferConfig.model_validate_json(variable["value"])
    model = msgspec.convert(config.model, Model)
    assert model.local.weights == "/weights/Qwen-VL-Chat"


def test_weights_of_pods_are_named_by_their_digest_where_the_user_says_it():
    (model,) = read(
        evalrun(**local_spec(ENTRY | {"weights_sha256": "a" * 64}))
    ).run.models
    assert model.local.identity()["digest"] == "a" * 64


@pytest.mark.parametrize(
    ("changed", "path", "why"),
    [
        ({"entry": ENTRY | {"model_path": "models/x"}}, "model_path", "none of yours"),
        ({"local": {}}, "local.claim", "no claim is mounted"),
        ({"local": {"claim": "w", "path": "/other"}}, "local.claim", "no claim"),
        ({"entry": ENTRY | {"gpus": 2}}, "local.gpus", "do not go round"),
        (
            {"serving": {"engine": "custom", "image": "i"}},
            "serving",
            "nobody would ask the engine",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_its_place(changed, path, why):
    with pytest.raises(ConfigError, match=why) as caught:
        read(evalrun(**local_spec(**changed)))
    assert caught.value.path.endswith(path)
