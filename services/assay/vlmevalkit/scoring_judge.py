"""Stands where upstream's judge clients stood: the same requests, answered from the tape.

`install()` replaces the three classes that upstream's `build_judge` chooses from. Each makes its request
with upstream's own code, up to the moment it would be posted.
"""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, NoReturn

from assay.domain.sample import UnscoredReason
from assay.vlmevalkit.scoring_recorder import active
from assay.vlmevalkit.scoring_tape import RowEndedError, Tape

_ADDRESS = "https://judge.invalid/v1/chat/completions"
"""Never called. Upstream adds `n: 1`, which is what it means without, only for api.openai.com."""


class _PostedError(Exception):
    """What upstream was about to post."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        super().__init__()
        self.body = body


def _post(*_address: Any, data: str, **_options: Any) -> NoReturn:
    raise _PostedError(json.loads(data))


def install(tape: Tape, model: str) -> None:
    """Replaces upstream's judge clients; all ask `model`.

    Args:
        tape: where answers come from.
        model: the judge's name in a request, whatever upstream's files call it.
    """
    from vlmeval import api  # noqa: PLC0415 - only behind the shim
    from vlmeval.api import gpt, siliconflow  # noqa: PLC0415
    from vlmeval.dataset.utils import (  # noqa: PLC0415
        mathv,
        mathvista,
        multiple_choice,
    )

    # Upstream asks for this name instead of the one it labels its files with.
    os.environ["LOCAL_LLM"] = model
    gpt.requests = SimpleNamespace(post=_post)
    siliconflow.requests = SimpleNamespace(post=_post)
    plain = _taped(gpt.OpenAIWrapper, tape)
    api.OpenAIWrapper = plain
    api.SiliconFlowAPI = _taped(siliconflow.SiliconFlowAPI, tape)
    # A model in upstream's own process; here it is served like any other.
    api.HFChatModel = plain
    multiple_choice.rd = _Undecided()
    mathv.is_equal = lambda one, other: tape.equal(str(one), str(other))
    for module in (mathv, mathvista):
        module.post_check = _noting_check(module.post_check)


def _noting_check(original: Callable[..., Any]) -> Callable[..., Any]:
    """Whether a row's extraction is its answer; a row that cannot be checked is that row's trouble."""

    def post_check(line: Any, prefetch: bool = False) -> Any:  # noqa: FBT001, FBT002 - upstream's
        if prefetch:
            return original(line, prefetch=True)
        row = active().row(line.name)
        try:
            right = original(line, prefetch=False)
        except RowEndedError as end:
            active().end(end, row)
            return False
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as said
            active().note_error(row, error)
            return False
        active().checked[row] = bool(right)
        return right

    return post_check


def _taped(original: Any, tape: Tape) -> Any:
    class TapedJudge(original):  # type: ignore[misc]
        """Upstream's client without a network."""

        def __init__(self, model: str, **settings: Any) -> None:
            settings |= {"api_base": _ADDRESS, "key": "none"}
            super().__init__(model, **settings)

        def working(self) -> bool:
            """Whether it works is known before anything is scored, and shown by every answer."""
            return True

        def generate(self, message: str, **settings: Any) -> str:
            """The judge's reply, stripped as upstream strips it."""
            # SiliconFlow's client writes into its settings, which all threads would share.
            client = copy.copy(self)
            client.default_kwargs = dict(self.default_kwargs)
            inputs = client.preproc_content(message)
            try:
                client.generate_inner(inputs, **{**self.default_kwargs, **settings})
            except _PostedError as posted:
                heard = tape.ask(active().asking(), posted.body)
            else:
                raise RuntimeError("upstream's judge client posted nothing")
            active().heard_reply(heard)
            return heard.reply.strip()

    return TapedJudge


class _Undecided:
    """Upstream's dice, where no reply of the judge names an option: nothing is drawn."""

    def choice(self, _options: Any) -> NoReturn:
        raise RowEndedError(
            UnscoredReason.JUDGE_UNPARSEABLE, "no reply names one of the options"
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(random, name)
