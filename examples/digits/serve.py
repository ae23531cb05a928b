"""Serves the digit classifiers as an OpenAI-compatible chat endpoint, pictures and all.

`demo.py` starts it on a free port; by hand: `python examples/digits/serve.py` and then
`assay run examples/digits/eval.yaml`. It prints `serving http://HOST:PORT/v1` once it answers.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import binascii
import io
import json
import signal
import sys
import time
import uuid
from collections.abc import Iterator, Mapping

from aiohttp import web
from classifier import Classifier, learned
from PIL import Image

_HOST = "127.0.0.1"
_PORT = 8765
_BODY_BYTES = 16 * 1024 * 1024
_PICTURE_PIXELS = 50_000_000
_MODELS = web.AppKey("models", Mapping[str, Classifier])


class RefusedError(Exception):
    """A request that is not one this model can answer; the caller gets 400 and the text."""


def application(models: Mapping[str, Classifier]) -> web.Application:
    """The endpoint, around classifiers that have learned already."""
    app = web.Application(client_max_size=_BODY_BYTES)
    app[_MODELS] = models
    app.router.add_get("/v1/models", _models)
    app.router.add_post("/v1/chat/completions", _chat)
    return app


async def _models(request: web.Request) -> web.Response:
    served = [
        {"id": name, "object": "model", "owned_by": "assay"}
        for name in request.app[_MODELS]
    ]
    return web.json_response({"object": "list", "data": served})


async def _chat(request: web.Request) -> web.Response:
    try:
        body = _object(await request.text())
        text, picture = _question(body)
    except RefusedError as error:
        return _error(400, "invalid_request_error", str(error))
    name = str(body.get("model"))
    model = request.app[_MODELS].get(name)
    if model is None:
        return _error(404, "not_found_error", f"no model {name!r} here")
    answer = await asyncio.to_thread(model.answer, text, picture)
    return web.json_response(_completion(name, text, answer))


def _object(raw: str) -> dict[str, object]:
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise RefusedError(f"the body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise RefusedError("the body is no JSON object")
    if body.get("stream"):
        raise RefusedError("stream: this server answers in one piece only")
    return body


def _question(body: dict[str, object]) -> tuple[str, Image.Image]:
    """All text and the last picture of the request."""
    texts, picture = [], None
    for part in _parts(body):
        if part.get("type") == "text":
            texts.append(str(part.get("text", "")))
        elif part.get("type") == "image_url":
            picture = _picture(part.get("image_url"))
        else:
            raise RefusedError(f"messages: a part of type {part.get('type')!r}")
    if picture is None:
        raise RefusedError("messages: no picture in them, and nothing else to look at")
    return "\n".join(texts), picture


def _parts(body: dict[str, object]) -> Iterator[dict[str, object]]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise RefusedError("messages: no list with at least one message")
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, str):
            yield {"type": "text", "text": content}
        elif isinstance(content, list) and all(isinstance(p, dict) for p in content):
            yield from content
        else:
            raise RefusedError("messages: content is neither text nor a list of parts")


def _picture(value: object) -> Image.Image:
    url = value.get("url") if isinstance(value, dict) else None
    if not isinstance(url, str) or not url.startswith("data:image/"):
        # Fetching an address that a caller names would lend him this machine's network.
        raise RefusedError("image_url: only data:image/...;base64 URLs are read")
    try:
        raw = base64.b64decode(url.partition(";base64,")[2], validate=True)
        picture = Image.open(io.BytesIO(raw))
        if picture.width * picture.height > _PICTURE_PIXELS:
            raise RefusedError(f"image_url: {picture.width} x {picture.height} pixels")
        picture.load()
    except (
        binascii.Error,
        OSError,
        SyntaxError,
        Image.DecompressionBombError,
    ) as error:
        raise RefusedError(f"image_url: no readable picture: {error}") from error
    return picture


def _completion(model: str, text: str, answer: str) -> dict[str, object]:
    asked, said = len(text.split()), len(answer.split())
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": asked,
            "completion_tokens": said,
            "total_tokens": asked + said,
        },
    }


def _error(status: int, kind: str, message: str) -> web.Response:
    return web.json_response(
        {"error": {"type": kind, "message": message}}, status=status
    )


async def _serve(host: str, port: int) -> int:
    models = await asyncio.to_thread(learned)
    for name, model in models.items():
        print(f"{name}: {model.accuracy:.1%} of the held-out digits", flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(application(models), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0][1]
        print(f"serving http://{host}:{bound}/v1", flush=True)
        await stop.wait()
    except OSError as error:
        cure = "choose another with --port, or 0 for a free one"
        print(f"cannot listen on {host}:{port}: {error} ({cure})", file=sys.stderr)
        return 1
    finally:
        await runner.cleanup()
    return 0


def main() -> int:
    """Serves until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=_HOST)
    parser.add_argument("--port", type=int, default=_PORT, help="0: a free one")
    arguments = parser.parse_args()
    return asyncio.run(_serve(arguments.host, arguments.port))


if __name__ == "__main__":
    sys.exit(main())
