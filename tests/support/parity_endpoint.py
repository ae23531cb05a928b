"""A deterministic chat endpoint on loopback that keeps every body it was sent.

The parity tests run it in a thread, since both sides that ask it are processes of their own. Who asks is
told apart by the first part of the path: `/peer/v1/chat/completions`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

_TAG = re.compile(r"\(([A-Za-z0-9_-]+-\d{4})\)")
_DIGEST = re.compile(r"sha256=([0-9a-f]{64})")
_PREFIX = "data:image/jpeg;base64,"


@dataclass(frozen=True)
class Reply:
    """What is answered to one row, every time: a text, or a status for ever."""

    text: str = ""
    status: int = 200


@dataclass
class ParityEndpoint:
    """What was asked, by who asked and by the tag in the question.

    Attributes:
        base: `http://127.0.0.1:<port>`.
        replies: by tag; may be added to at any time.
        untagged: what is said to a request with a picture and no tag, by chance of the picture; its tag
            is then `untagged_name` with the picture's digest.
        untagged_name: the dataset whose file has no questions.
        delay: seconds every answer takes, so that several who ask are busy at a time.
        bodies: who -> tag -> the distinct bodies, with every picture replaced by its sha256.
        requests: who -> how many requests there were.
    """

    base: str = ""
    replies: dict[str, Reply] = field(default_factory=dict)
    untagged: tuple[str, ...] = ()
    untagged_name: str = ""
    delay: float = 0.0
    bodies: dict[str, dict[str, list[object]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    requests: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def url(self, who: str) -> str:
        """The chat address of one side."""
        return f"{self.base}/{who}/v1/chat/completions"

    def asked(self, who: str, prefix: str) -> dict[str, list[object]]:
        """The distinct bodies one side sent for one dataset, by tag, in no order of time."""
        found = self.bodies[who]
        return {
            tag: sorted(found[tag], key=json.dumps)
            for tag in sorted(found)
            if tag.startswith(prefix)
        }

    async def answer(self, request: web.Request) -> web.Response:
        """Looks the row up by its tag; a request about no row is answered and not counted."""
        who = request.match_info["who"]
        body = json.loads(await request.read())
        kept = _with_digests(body)
        # Options are awkward on purpose: only the last tag in the text is the question's.
        text = json.dumps(kept, ensure_ascii=False)
        tags = _TAG.findall(text) or self._by_picture(text)
        if not tags:
            # A client that asks whether anybody is there asks about no row.
            return web.json_response(_completion(str(body["model"]), "Yes."))
        self.requests[who] += 1
        if kept not in self.bodies[who][tags[-1]]:
            self.bodies[who][tags[-1]].append(kept)
        reply = self.replies[tags[-1]]
        await asyncio.sleep(self.delay)
        if reply.status != web.HTTPOk.status_code:
            return web.json_response({"error": "as planned"}, status=reply.status)
        return web.json_response(_completion(str(body["model"]), reply.text))

    def _by_picture(self, text: str) -> list[str]:
        """A tag for the picture of a request without one, and a reply that goes with it."""
        digests = _DIGEST.findall(text)
        if not digests or not self.untagged:
            return []
        tag = f"{self.untagged_name}-{digests[0][:12]}"
        number = int(digests[0], 16) % len(self.untagged)
        self.replies.setdefault(tag, Reply(text=self.untagged[number]))
        return [tag]


def _completion(model: str, text: str) -> Mapping[str, object]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "parity",
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


def _with_digests(value: object) -> object:
    """The body with each picture's bytes replaced by their sha256: equal digests, equal bytes."""
    if isinstance(value, str) and value.startswith(_PREFIX):
        data = base64.b64decode(value[len(_PREFIX) :], validate=True)
        return f"{_PREFIX}sha256={hashlib.sha256(data).hexdigest()}"
    if isinstance(value, dict):
        return {key: _with_digests(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_digests(item) for item in value]
    return value


async def _models(_request: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": []})


async def _serve(endpoint: ParityEndpoint, ready: threading.Event) -> None:
    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_post("/{who}/v1/chat/completions", endpoint.answer)
    application.router.add_get("/{who}/v1/models", _models)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    ready.set()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


@contextmanager
def parity_endpoint() -> Iterator[ParityEndpoint]:
    """Runs the endpoint in a thread until the block ends."""
    endpoint = ParityEndpoint()
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    task = loop.create_task(_serve(endpoint, ready))

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    thread = threading.Thread(target=run, name="parity-endpoint", daemon=True)
    thread.start()
    assert ready.wait(10), "the parity endpoint did not start"
    try:
        yield endpoint
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(10)
