"""A chat endpoint under the test's control: a real HTTP server that gives whatever reply is scripted."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Reply = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]

CANARY = "hello"


def answer_document(text: str | None) -> dict[str, Any]:
    return {
        "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 1},
    }


def text_of(body: dict[str, Any]) -> str:
    """All text the user says in a request."""
    content = body["messages"][-1]["content"]
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def pictures_of(body: dict[str, Any]) -> list[bytes]:
    """The JPEGs a request carries."""
    content = body["messages"][-1]["content"]
    if isinstance(content, str):
        return []
    urls = [p["image_url"]["url"] for p in content if p["type"] == "image_url"]
    return [base64.b64decode(url.partition(",")[2]) for url in urls]


async def echo(_request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response(answer_document(f"answer to {text_of(body)}"))


def replying(
    status: int = 200, text: str = "", headers: dict[str, str] | None = None
) -> Reply:
    async def reply(_request: web.Request, _body: Any) -> web.StreamResponse:
        return web.Response(status=status, text=text, headers=headers)

    return reply


def saying(text: str | None) -> Reply:
    return replying(200, json.dumps(answer_document(text)))


async def reset(request: web.Request, _body: Any) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def slow_loris(request: web.Request, _body: Any) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(1000):
        await response.write(b" ")
        await asyncio.sleep(0.02)
    return response


async def huge(request: web.Request, _body: Any) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(64):
        await response.write(b" " * 1024 * 1024)
    return response


class ChatEndpoint:
    """Counts what it is asked, by the text of the question; replies as `reply` says."""

    def __init__(self, reply: Reply = echo) -> None:
        self.reply = reply
        self.asked: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.connections: set[Any] = set()
        self.delay = 0.0
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/chat/completions"

    async def start(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._handle)
        self._runner = web.AppRunner(
            app, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        assert site._server is not None
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked[text_of(body)] += 1
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        self.connections.add(request.transport)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.delay)
            return await self.reply(request, body)
        finally:
            self.in_flight -= 1


@asynccontextmanager
async def chat_endpoint(reply: Reply = echo) -> AsyncIterator[ChatEndpoint]:
    endpoint = ChatEndpoint(reply)
    await endpoint.start()
    try:
        yield endpoint
    finally:
        await endpoint.stop()
