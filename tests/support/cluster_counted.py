"""The digits example's server with a book of who was asked what, and its datasets beside it.

Runs in a pod of the digits image and as a process here, so that a run in a cluster and one of this machine
ask the same model about the same table. The classifiers' own folder is on the module path.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import json
import re
import signal
import sys
import time
from collections import Counter

import make_dataset
import serve
from aiohttp import web
from classifier import learned

TABLE = re.compile(r"(Digits|Backwards)([0-9]+)\.tsv")
UPSTREAM = {"SEEDBench_IMG.tsv": 21, "ChartQA_TEST.tsv": 22}
"""Tables under names of VLMEvalKit's own, of so many rows; the second asks for words instead of a letter."""
SAMPLE = re.compile(r"\[([A-Za-z0-9]+) #([0-9]+)\]")


def table(kind: str, count: int, *, words: bool = False) -> str:
    """So many questions, each naming its sample; the pictures come round again."""
    rows = make_dataset.rows()
    if kind == "Backwards":
        rows.reverse()
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter="\t", lineterminator="\n")
    writer.writeheader()
    for n in range(count):
        row = rows[n % len(rows)]
        asked = f"{row['question']} [{kind}{count} #{n}]"
        answer = {"answer": row[row["answer"]]} if words else {}
        writer.writerow({**row, "index": str(n), "question": asked, **answer})
    return out.getvalue()


class Vague:
    """A model that, of every third sample, says what no rule can read."""

    def __init__(self, model) -> None:
        self._model = model
        self.accuracy = 0.0

    def answer(self, text, picture) -> str:
        """The model's own answer, or none that is worth the name."""
        found = SAMPLE.search(text)
        if found is not None and int(found[2]) % 3 == 0:
            return "I could not tell one from the other"
        return self._model.answer(text, picture)


class Book:
    """What was asked since the last reset."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.fetched: Counter[str] = Counter()
        self.first = 0.0
        self.pace = 0.0
        self.most = self.now = 0

    @web.middleware
    async def write(self, request: web.Request, handler):
        """Counts a question about a sample, and takes its time over it."""
        if request.path != "/v1/chat/completions":
            return await handler(request)
        body = await request.json()
        found = SAMPLE.search(json.dumps(body["messages"]))
        if found is None:
            return await handler(request)
        self.first = self.first or time.time()
        self.counts[f"{body['model']} {found[1]} {found[2]}"] += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.pace)
            return await handler(request)
        finally:
            self.now -= 1

    async def read(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "counts": self.counts,
                "fetched": self.fetched,
                "first": self.first,
                "most": self.most,
            }
        )

    async def reset(self, request: web.Request) -> web.Response:
        self.counts, self.fetched = Counter(), Counter()
        self.first, self.most = 0.0, 0
        self.pace = float(request.query.get("pace", "0"))
        return web.json_response({})

    async def table(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.fetched[name] += 1
        found = TABLE.fullmatch(name)
        if found is not None:
            return web.Response(text=table(found[1], int(found[2])))
        if name in UPSTREAM:
            words = name.startswith("ChartQA")
            return web.Response(text=table("Digits", UPSTREAM[name], words=words))
        raise web.HTTPNotFound


async def main(port: int, pace: float, name: str) -> None:
    """Serves until SIGTERM."""
    book = Book()
    book.pace = pace
    models = dict(await asyncio.to_thread(learned))
    models["digits-vague"] = Vague(models["digits-svm"])
    app = serve.application(models | ({name: models["digits-svm"]} if name else {}))
    app.middlewares.append(book.write)
    app.router.add_get("/asked", book.read)
    app.router.add_post("/reset", book.reset)
    app.router.add_get("/data/{name}", book.table)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", port).start()
    sys.stdout.write(f"serving {runner.addresses[0][1]}\n")
    sys.stdout.flush()
    stop = asyncio.Event()
    # The first process of a container has no default for it.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--pace", type=float, default=0.0, help="seconds per answer")
    parser.add_argument("--name", default="", help="one more name for the first model")
    asyncio.run(main(**vars(parser.parse_args())))
