"""Request bodies exactly as VLMEvalKit's CustomAPIModel sends them; called for every request.

Upstream builds a dict and dumps it, picture and all. Here everything that does not change from sample
to sample is dumped once, and the base64 of the JPEG is spliced in between: equal as JSON, without
passing megabytes of base64 through a JSON encoder.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec
import pybase64

from assay.domain.run import Model

Content = Sequence[str | bytes]
"""What the user says, in order: text as str, a picture as its JPEG bytes."""

Exchange = tuple[Content, str]
"""A turn of a conversation: what the user said, and what was answered."""

_USER = b'{"role":"user","content":'
_ASSISTANT = b'},{"role":"assistant","content":'

_PICTURE_HEAD = b'{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,'

_COMPLETION_TOKEN_NAMES = ("o1", "o3", "o4", "gpt-5")
"""Substrings of served names that get `max_completion_tokens` and no temperature, as upstream does."""

_STRAY_VLLM_NAMES = ("Llama-4", "Qwen2-VL", "Qwen2.5-VL")
"""Substrings of model keys for which upstream leaks its `use_vllm` flag into the body."""


class BodyBuilder:
    """Builds the bodies for one model."""

    def __init__(self, model: Model) -> None:
        system = model.decoding.system_prompt
        messages = (
            [] if system is None else [_dumped({"role": "system", "content": system})]
        )
        self._head = b'{"model":%s,"messages":[' % _dumped(
            model.served_name
        ) + b"".join(message + b"," for message in messages)
        self._tail = b"}]," + _dumped(_parameters(model))[1:]
        self._picture_tail = b'","detail":%s}}' % _dumped(model.decoding.img_detail)

    def build(self, content: Content, earlier: Sequence[Exchange] = ()) -> bytes:
        """The body that asks about `content`, after what was said `earlier` in the conversation."""
        pieces = [self._head]
        for said, answer in earlier:
            spoken = msgspec.json.encode(answer)
            pieces += (_USER, *self._content(said), _ASSISTANT, spoken, b"},")
        pieces += (_USER, *self._content(content), self._tail)
        return b"".join(pieces)

    def _content(self, content: Content) -> list[bytes]:
        texts = [item for item in content if isinstance(item, str)]
        if len(texts) == len(content):
            return [msgspec.json.encode("\n".join(texts))]
        pieces: list[bytes] = []
        for item in content:
            if isinstance(item, bytes):
                encoded = pybase64.b64encode(item)
                pieces += (b",", _PICTURE_HEAD, encoded, self._picture_tail)
            elif item:  # upstream leaves empty text out beside pictures
                text = msgspec.json.encode(item)
                pieces += (b",", b'{"type":"text","text":', text, b"}")
        return [b"[", *pieces[1:], b"]"]


def request_headers(model: Model, api_key: str) -> dict[str, str]:
    """The headers of every request, the key in the place upstream puts it for this model."""
    if model.endpoint.use_azure:
        auth = {"api-key": api_key}
    elif "internvl2-pro" in model.served_name:
        auth = {"Authorization": api_key}
    else:
        auth = {"Authorization": f"Bearer {api_key}"}
    return {"Content-Type": "application/json", **auth}


def _parameters(model: Model) -> dict[str, object]:
    """Everything of the body beside model and messages, by upstream's rules on names."""
    name = model.served_name
    body: dict[str, object] = {"n": 1, "temperature": model.decoding.temperature}
    if any(stray in model.key for stray in _STRAY_VLLM_NAMES):
        body["use_vllm"] = False
    body.update(model.decoding.extra)
    if any(part in name for part in _COMPLETION_TOKEN_NAMES):
        body["max_completion_tokens"] = model.decoding.max_tokens
        del body["temperature"]
    else:
        body["max_tokens"] = model.decoding.max_tokens
    if "gemini" in name:
        body.pop("max_tokens", None)
        del body["n"]
        body["reasoning_effort"] = "high"
    if "openai.com" not in model.endpoint.api_base and body.get("n") == 1:
        del body["n"]
    return body


def _dumped(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
