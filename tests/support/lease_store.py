"""One Lease behind the scripted API server, with versions as a real one keeps them, and lost answers."""

from __future__ import annotations

from typing import Any

from support.scripted_api import Answer, Handler, ScriptedApi, Seen, gives, refuses


class LeaseStore:
    """Answers for one Lease. `lost` names requests that are carried out without an answer."""

    def __init__(self, server: ScriptedApi) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 10
        self.lost: list[str] = []
        self.refused: Answer | None = None
        self._server = server
        for method in ("GET", "POST", "PATCH"):
            server.on(method, self.answer)

    @property
    def writes(self) -> int:
        return len(self._server.asked("POST")) + len(self._server.asked("PATCH"))

    def label(self, **labels: str) -> None:
        """What somebody else may do to it at any time."""
        assert self.lease is not None
        self._store(self.lease["metadata"] | {"labels": labels}, self.lease["spec"])

    def answer(self, handler: Handler, seen: Seen) -> None:
        said = self.refused or self._carried_out(seen)
        if seen.kind in self.lost:
            self.lost.remove(seen.kind)
            handler.drop()
            return
        said(handler, seen)

    def _carried_out(self, seen: Seen) -> Answer:
        if seen.kind == "POST":
            if self.lease is not None:
                return refuses(409, "already exists")
            self._store(seen.body["metadata"], seen.body["spec"])
            return gives(self.lease, 201)
        if self.lease is None:
            return refuses(404, "not found")
        if seen.kind == "PATCH":
            known = self.lease["metadata"]
            if seen.body["metadata"]["resourceVersion"] != known["resourceVersion"]:
                return refuses(409, "the object has been modified")
            self._store(known, self.lease["spec"] | seen.body["spec"])
        return gives(self.lease)

    def _store(self, metadata: dict[str, Any], spec: dict[str, Any]) -> None:
        self.version += 1
        stamp = {"namespace": "eval", "resourceVersion": str(self.version)}
        self.lease = {"metadata": metadata | stamp, "spec": spec}
