"""Bodies and headers are compared with upstream's own client, its `requests.post` replaced by a recorder."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from assay.domain.run import Decoding, Endpoint, Model
from assay.worker.engines.body import BodyBuilder, request_headers
from assay.worker.engines.canary import CANARY_PICTURE
from support.upstream_bodies import NORMALISED

URL = "http://host/v1/chat/completions"
PICTURE = {"type": "image", "value": "PICTURE"}


def text(value: str) -> dict[str, str]:
    return {"type": "text", "value": value}


ONE = [PICTURE, text('What is it?\n"ü" 猫 \u2028')]
CASES: dict[str, dict[str, Any]] = {
    "picture and text": {"message": ONE},
    "two pictures": {"message": [PICTURE, text("and"), PICTURE, text("?")]},
    "empty text beside a picture": {"message": [text(""), PICTURE, text("?")]},
    "only text": {"message": [text("a"), text(""), text("b")]},
    "only a picture": {"message": [PICTURE]},
    "system prompt": {"message": ONE, "kwargs": {"system_prompt": "Be short."}},
    "low detail": {"message": ONE, "kwargs": {"img_detail": "low"}},
    "decoding": {"message": ONE, "kwargs": {"temperature": 0.7, "max_tokens": 16}},
    "extras": {
        "message": ONE,
        "kwargs": {
            "top_p": 0.9,
            "seed": 1,
            "chat_template_kwargs": {"thinking": False},
        },
    },
    "o1": {"message": ONE, "model": "llava-o1"},
    "gpt-5": {"message": ONE, "model": "gpt-5-mini"},
    "gemini": {"message": ONE, "model": "gemini-2.5-pro"},
    "gemini at openai.com": {
        "message": ONE,
        "model": "gemini-2.5-pro",
        "api_base": "https://x.openai.com/v1/chat/completions",
    },
    "n at openai.com": {
        "message": ONE,
        "api_base": "https://api.openai.com/v1/chat/completions",
    },
    "Qwen2-VL": {"message": ONE, "model": "org/Qwen2-VL-7B"},
    "Llama-4": {"message": ONE, "model": "Llama-4-Scout"},
    "Qwen2.5-VL": {"message": ONE, "model": "Qwen/Qwen2.5-VL-7B"},
    "internvl2-pro": {"message": ONE, "model": "internvl2-pro"},
}


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What upstream posts for each case: one fresh process, as upstream is never imported here."""
    folder = tmp_path_factory.mktemp("upstream")
    (folder / "picture.jpg").write_bytes(CANARY_PICTURE)
    (folder / "cases.json").write_text(json.dumps(CASES))
    script = Path(__file__).parents[2] / "support" / "upstream_bodies.py"
    subprocess.run([sys.executable, script, folder], check=True, timeout=100)
    found: dict[str, Any] = json.loads((folder / "posted.json").read_text())
    return found


def ours(case: dict[str, Any], jpeg: bytes) -> tuple[Any, dict[str, str]]:
    name, kwargs = case.get("model", "m"), dict(case.get("kwargs", {}))
    known = {
        field: kwargs.pop(field)
        for field in ("temperature", "max_tokens", "img_detail", "system_prompt")
        if field in kwargs
    }
    model = Model(
        key=NORMALISED(name),
        kind="CustomAPIModel",
        served_name=name,
        endpoint=Endpoint(api_base=case.get("api_base", URL)),
        decoding=Decoding(**known, extra=kwargs),
    )
    content = [
        jpeg if part["type"] == "image" else part["value"] for part in case["message"]
    ]
    return json.loads(BodyBuilder(model).build(content)), request_headers(model, "k")


@pytest.mark.parametrize("name", CASES)
def test_body_and_headers_are_what_upstream_posts(
    upstream: dict[str, Any], name: str
) -> None:
    posted = upstream[name]
    jpeg = bytes.fromhex(posted["jpeg"])
    body, headers = ours(CASES[name], jpeg)
    assert body == posted["body"]
    assert headers == posted["headers"]
    assert posted["url"] == CASES[name].get("api_base", URL)


def test_azure_gets_the_key_in_its_own_header() -> None:
    endpoint = Endpoint(api_base=URL, use_azure=True)
    model = Model(key="m", kind="CustomAPIModel", served_name="m", endpoint=endpoint)
    assert request_headers(model, "k") == {
        "Content-Type": "application/json",
        "api-key": "k",
    }


def test_a_model_survives_its_way_through_a_process_config() -> None:
    model = Model(
        key="m",
        kind="CustomAPIModel",
        served_name="m",
        endpoint=Endpoint(api_base=URL),
        decoding=Decoding(extra={"stop": ["a"], "nested": {"x": None}}),
    )
    sent = msgspec.json.decode(msgspec.json.encode(model))
    assert msgspec.convert(sent, Model) == model
