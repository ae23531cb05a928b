"""An OpenAI-compatible endpoint whose answer is a function of the request alone.

It lives in a thread of the test, counts how often each sample was asked, and can be told to be slow, to
fail for some samples, or to be away and come back on the same port.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable
from typing import Self

from aiohttp import web

_TAG = re.compile(r"#(\d+)")
_LETTERS = "ABCD"


class StubEndpoint:
    """One endpoint; `url` is what `api_base` names."""

    def __init__(self) -> None:
        self.asked: Counter[int] = Counter()
        self.answered: Counter[int] = Counter()
        self.in_flight = 0
        self.delay = 0.0
        self.status: Callable[[int], int] = lambda _: 200
        self.reply: Callable[[int], str] | None = None
        """What is answered about a sample; None: a letter that depends on the request."""
        self.first_at = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner: web.AppRunner | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1/chat/completions"

    def __enter__(self) -> Self:
        self.come()
        return self

    def __exit__(self, *_: object) -> None:
        self.go()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def come(self) -> None:
        """Starts listening."""
        self._do(self._listen())

    def go(self) -> None:
        """Stops listening and drops every connection."""
        if self._runner is not None:
            self._do(self._runner.cleanup())
            self._runner = None

    @property
    def requests(self) -> int:
        return sum(self.asked.values())

    def _do(self, coroutine) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=10)

    async def _listen(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        text = _text_of(json.loads(body))
        sample = int(_TAG.search(text)[1])
        self.asked[sample] += 1
        self.first_at.set()
        self.in_flight += 1
        try:
            await asyncio.sleep(self.delay)
        finally:
            self.in_flight -= 1
        status = self.status(sample)
        if status != 200:
            return web.json_response({"error": {"message": "no"}}, status=status)
        self.answered[sample] += 1
        reply = self.reply(sample) if self.reply else f"Answer: {letter_for(body)}"
        return web.json_response(_completion(reply))


def letter_for(body: bytes) -> str:
    """The answer to a request: a letter that depends on every byte of its messages."""
    messages = json.dumps(json.loads(body)["messages"], sort_keys=True)
    return _LETTERS[hashlib.sha256(messages.encode()).digest()[0] % len(_LETTERS)]


def _text_of(body) -> str:
    parts = body["messages"][-1]["content"]
    return " ".join(part["text"] for part in parts if part["type"] == "text")


def _completion(reply: str) -> dict:
    return {
        "choices": [
            {
                "message": {"role": "assistant", "content": reply},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 3},
    }
