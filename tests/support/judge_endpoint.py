"""A judge on loopback whose reply is a function of the request, and that can be told to misbehave.

The tests of scoring with a judge run it in a thread: real VLMEvalKit and Assay ask the same one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

_OPTION = re.compile(r"\b([A-Z])\. ")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_DIMENSIONS = (
    *("Creativity", "Richness", "Visual Perception", "Logical Coherence"),
    *("Answer Accuracy", "Image Relationship Understanding", "Overall Score"),
)


def sensible(body: dict) -> str:
    """What a judge replies that does as it is told; always the same to the same words."""
    text = body["messages"][-1]["content"]
    if not isinstance(text, str):
        text = text[0]["text"]
    chance = int(hashlib.sha256(text.encode()).hexdigest(), 16)
    if "single-choice question" in text or "单选题" in text:
        last = re.split(r"Options: |选项: ", text)[-1]
        options = [*dict.fromkeys(_OPTION.findall(last)), "Z"]
        return options[chance % len(options)]
    if "Yes / No" in text:
        return ("Yes", "No", "Unknown")[chance % 3]
    if text.endswith("Extracted answer:"):
        numbers = _NUMBER.findall(text.split("Model respone: ")[-1])
        return numbers[0] if numbers else "ABC"[chance % 3]
    if "correctness score" in text:
        return f"{chance % 11 / 10}"
    if "Assistant 2" in text:
        return f"{1 + chance % 10} {1 + chance // 16 % 10}\nThe second is shorter."
    scores = {
        name: 1 + chance // 7**place % 10 for place, name in enumerate(_DIMENSIONS)
    }
    return f"It is rich in detail.\n{scores}"


@dataclass
class JudgeEndpoint:
    """What was asked, and how it is answered.

    Attributes:
        base: the address without `/chat/completions`.
        reply: a text, or an HTTP status, for a body; may be changed at any time.
        refuses: the HTTP status of everything; 0: it is well.
        key: what callers must show; empty: nothing.
        delay: seconds that every reply takes.
        headers: of every answer that is none.
        bodies: every body as canonical JSON -> how often it came.
    """

    base: str = ""
    reply: Callable[[dict], str | int] = sensible
    refuses: int = 0
    key: str = ""
    delay: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    bodies: Counter[str] = field(default_factory=Counter)

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        shown = request.headers.get("Authorization", "")
        if self.key and shown != f"Bearer {self.key}":
            return web.json_response({"error": "who are you"}, status=401)
        if self.refuses:
            return web.json_response({"error": "go away"}, status=self.refuses)
        if body["messages"][-1]["content"] in (
            "hello",
            [{"text": "hello", "type": "text"}],
        ):
            return _completion("Hello.")
        self.bodies[json.dumps(body, sort_keys=True)] += 1
        reply = self.reply(body)
        await asyncio.sleep(self.delay)
        if isinstance(reply, int):
            return web.json_response(
                {"error": "as planned"}, status=reply, headers=self.headers
            )
        return _completion(reply)


def _completion(text: str) -> web.Response:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    return web.json_response({"choices": [choice], "usage": usage})


async def _serve(endpoint: JudgeEndpoint, ready: threading.Event) -> None:
    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_post("/v1/chat/completions", endpoint.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint.base = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    ready.set()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


@contextmanager
def judge_endpoint() -> Iterator[JudgeEndpoint]:
    """Runs the judge in a thread until the block ends."""
    endpoint, ready = JudgeEndpoint(), threading.Event()
    loop = asyncio.new_event_loop()
    task = loop.create_task(_serve(endpoint, ready))

    def run() -> None:
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    thread = threading.Thread(target=run, name="judge-endpoint", daemon=True)
    thread.start()
    assert ready.wait(10), "the judge's endpoint did not start"
    try:
        yield endpoint
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(10)
