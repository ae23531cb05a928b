"""Engines are started as people start them, closed to what a run does not need, and refused otherwise."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from pydantic import ValidationError

from assay.config.problems import config_error
from assay.config.serving import Serving, launch_of
from support.served import EVERY, VLLM


def command_of(served, name="served"):
    """The command as the kubelet starts it."""
    launch = launch_of(Serving.model_validate(served), name)
    values = {v["name"]: v["value"] for v in launch.env if "value" in v}
    words = " ".join((*launch.command, *launch.args))
    for variable, value in values.items():
        words = words.replace(f"$({variable})", value)
    return words


def variables(served):
    launch = launch_of(Serving.model_validate(served), "served")
    return {v["name"]: v.get("value", v.get("valueFrom")) for v in launch.env}


COMMANDS = {
    "vllm": """\
python3 -m vllm.entrypoints.openai.api_server --model org/weights --served-model-name served
--host 0.0.0.0 --port 8000 --allowed-media-domains none.invalid""",
    "swift": """\
swift deploy --model org/weights --served_model_name served
--host 0.0.0.0 --port 8000 --use_hf true --verbose false""",
    "lmdeploy": """\
lmdeploy serve api_server org/weights --model-name served
--server-name 0.0.0.0 --server-port 8000 --allowed-media-domains none.invalid""",
    "custom": "",
}


@pytest.mark.parametrize("engine", COMMANDS)
def test_an_engine_serves_the_weights_under_the_name_that_requests_use(engine) -> None:
    assert command_of(EVERY[engine]) == COMMANDS[engine].replace("\n", " ")


@pytest.mark.parametrize("engine", ["vllm", "lmdeploy"])
def test_code_that_comes_with_weights_runs_only_where_it_is_allowed(engine) -> None:
    flag = "--trust-remote-code"
    assert flag not in command_of(EVERY[engine])
    assert flag in command_of(EVERY[engine] | {"trustRemoteCode": True})


def test_several_gpus_share_a_model() -> None:
    assert "--tensor-parallel-size 2" in command_of(VLLM | {"gpus": 2})
    assert "--tp 2" in command_of(EVERY["lmdeploy"] | {"gpus": 2})


@pytest.mark.parametrize(
    ("engine", "name"),
    [("vllm", "VLLM_USE_MODELSCOPE"), ("lmdeploy", "LMDEPLOY_USE_MODELSCOPE")],
)
def test_weights_come_from_modelscope_where_that_is_asked(engine, name) -> None:
    assert name not in variables(EVERY[engine])
    assert variables(EVERY[engine] | {"hub": "modelscope"})[name] == "True"


def test_the_hubs_token_comes_from_its_secret() -> None:
    served = VLLM | {"token": {"name": "hub"}}
    assert variables(served)["HF_TOKEN"] == {
        "secretKeyRef": {"name": "hub", "key": "token"}
    }


def test_a_variable_of_the_user_stands_once_and_wins() -> None:
    served = VLLM | {"env": [{"name": "HOME", "value": "/mine"}]}
    launch = launch_of(Serving.model_validate(served), "served")
    assert [v["value"] for v in launch.env if v["name"] == "HOME"] == ["/mine"]


@pytest.mark.parametrize(
    ("served", "said"),
    [
        (VLLM | {"model": ""}, "model: is missing: vllm does not guess"),
        (EVERY["swift"] | {"trustRemoteCode": False}, "ms-swift always runs the code"),
        (VLLM | {"args": ["--port=1"]}, r"args.0: --port is said by serving.port"),
        (VLLM | {"args": ["--trust-remote-code"]}, "serving.trustRemoteCode"),
        (VLLM | {"args": ["--api-key", "x"]}, "is a secret"),
        (VLLM | {"imagee": "x"}, "did you mean `image`"),
        ({"engine": "vllm", "model": "m"}, "image: is missing"),
    ],
)
def test_an_engine_that_cannot_be_started_so_is_refused_with_the_cure(
    served, said
) -> None:
    with pytest.raises(ValidationError) as caught:
        Serving.model_validate(served)
    assert said in str(config_error(caught.value, Serving))


OLLAMA = """\
#!/bin/sh
echo "$@" >> "$LOG"
case "$1" in
  serve) exec sleep 60 ;;
  show) [ -e "$LOG.pulled" ] ;;
  pull) [ "$2" = org/weights ] && touch "$LOG.pulled" ;;
esac
"""


@pytest.fixture
def ollama(tmp_path, request):
    """The command of the preset, with an `ollama` that writes down what it is asked."""
    program = tmp_path / "ollama"
    program.write_text(OLLAMA)
    program.chmod(0o755)
    served = EVERY["ollama"] | {"model": request.param}
    launch = launch_of(Serving.model_validate(served), "served")
    told = {v["name"]: v["value"] for v in launch.env} | {"LOG": f"{tmp_path}/log"}
    path = f"{tmp_path}:{os.environ['PATH']}"
    process = subprocess.Popen(launch.command, env={**told, "PATH": path})
    yield process, tmp_path / "log"
    process.kill()
    process.wait(10)


@pytest.mark.parametrize("ollama", ["org/missing"], indirect=True)
def test_ollama_ends_where_the_weights_cannot_be_had(ollama) -> None:
    process, _ = ollama
    assert process.wait(30) == 1


@pytest.mark.parametrize("ollama", ["org/weights"], indirect=True)
def test_ollama_serves_what_it_pulled_under_the_name_that_requests_use(ollama) -> None:
    process, log = ollama
    asked = ""
    while "cp org/weights served" not in asked and process.poll() is None:
        asked = log.read_text() if log.exists() else ""
    # The server starts beside the rest, whenever it gets to it.
    rest = [line for line in asked.splitlines() if line != "serve"]
    assert rest[-2:] == ["pull org/weights", "cp org/weights served"]
    process.terminate()
    assert process.wait(30) == 128 + signal.SIGTERM
