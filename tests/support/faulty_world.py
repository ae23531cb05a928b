"""Objects that change all the time behind an API server that fails in every way, by a seed."""

from __future__ import annotations

import random
from typing import Any

from support.scripted_api import (
    Handler,
    ScriptedApi,
    Seen,
    Streams,
    event,
    gives,
    page,
    refuses,
    streams,
    thing,
)

NAMES = "abcde"


class FaultyWorld:
    """Answers lists truly and watches badly, `rounds` times; then it stands still and behaves."""

    def __init__(self, server: ScriptedApi, seed: int, rounds: int) -> None:
        self._chance = random.Random(seed)
        self._rounds = rounds
        self._log: list[tuple[int, dict[str, Any]]] = []
        self._version = 10
        self.objects: dict[str, dict[str, Any]] = {}
        server.on("list", self.list)
        server.on("watch", self.watch)

    def uids(self) -> dict[str, tuple[str, str]]:
        """What there is: uid and version by name."""
        metas = [item["metadata"] for item in list(self.objects.values())]
        return {m["name"]: (m["uid"], m["resourceVersion"]) for m in metas}

    def list(self, handler: Handler, seen: Seen) -> None:
        self._go_on()
        answer = page(self._version, *self.objects.values())
        if self._rounds > 0 and self._chance.random() < 0.2:
            refuses(500)(handler, seen)
        else:
            gives(answer)(handler, seen)

    def watch(self, handler: Handler, seen: Seen) -> None:
        self._go_on()
        self._rounds -= 1
        since = int(seen.query["resourceVersion"])
        if self._rounds <= 0:
            streams(*self._after(since), then="silence")(handler, seen)
            return
        fault = self._chance.choice(["gone", "500", "end", "end", "cut", "cut", "old"])
        if fault == "gone":
            refuses(410)(handler, seen)
        elif fault == "500":
            refuses(500)(handler, seen)
        else:
            self._some(since, fault)(handler, seen)

    def _some(self, since: int, fault: str) -> Streams:
        """The beginning of what happened; `old`: with what the watcher knows already before it."""
        told = self._after(since - 5 if fault == "old" else since)
        told = told[: self._chance.randrange(len(told) + 1)]
        return streams(*told, then="cut" if fault == "cut" else "end")

    def _after(self, since: int) -> list[dict[str, Any]]:
        return [line for version, line in self._log if version > since]

    def _go_on(self) -> None:
        if self._rounds <= 0:
            return
        for _ in range(self._chance.randrange(6)):
            self._version += 1
            name = self._chance.choice(NAMES)
            known = self.objects.pop(name, None)
            uid = known["metadata"]["uid"] if known else f"{name}{self._version}"
            item = thing(name, self._version, uid)
            if known and self._chance.random() < 0.4:
                kind = "DELETED"
            else:
                kind = "MODIFIED" if known else "ADDED"
                self.objects[name] = item
            self._log.append((self._version, event(kind, item)))
