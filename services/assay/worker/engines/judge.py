"""The engine for a judge model: a request comes whole, as scoring made it, and is posted as it is.

Infer's `main` takes it for the queue of judge requests; everything else about a request is as for a model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from assay.domain.run import Model
from assay.worker.engines.body import Content, Exchange
from assay.worker.engines.canary import CANARY_TEXT
from assay.worker.engines.openai import OpenAIEngine


class JudgeEngine(OpenAIEngine):
    """Asks a judge at its endpoint."""

    def __init__(self, model: Model, api_key: str) -> None:
        super().__init__(model, api_key)
        self._served_name = model.served_name

    def build(self, content: Content, earlier: Sequence[Exchange] = ()) -> bytes:
        """The body, which is all that the content says; a judge's requests have one turn."""
        assert not earlier
        return "".join(each for each in content if isinstance(each, str)).encode()

    def canary(self, *, with_picture: bool) -> bytes:
        """The body of a request that any judge answers; none of them is shown a picture."""
        _ = with_picture
        messages = [{"role": "user", "content": CANARY_TEXT}]
        body = {"model": self._served_name, "messages": messages, "temperature": 0}
        return json.dumps(body).encode()
