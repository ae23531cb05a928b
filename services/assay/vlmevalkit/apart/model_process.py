"""One model class of VLMEvalKit in a process of its own, spoken to in JSON lines.

A worker's local engine starts it, `python -I model_process.py`, with whatever interpreter has torch and
the transformers that the model's family needs; that one need not have Assay, so this imports nothing of
it. Lines come on standard input: first what to build, then samples, one at a time; answers go out on what
was standard output, which belongs to them alone: whatever upstream prints goes to standard error.

    {"name", "argument", "weights", "arguments", "trust_remote_code", "hub", "revision"}
        -> {"ready": true, "device", "state": [...], "versions", "revision"} or {"error", "kind"}
    {"dataset", "message" | "messages", "row", "files"} -> {"text", "seconds"} or {"error", "kind"}
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

HERE = Path(__file__).resolve().parent
_PR_SET_PDEATHSIG = 1


def beside(name: str, path: Path) -> Any:
    """A script that stands beside this one, as a module."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def outlet() -> TextIO:
    """Where answers go; whatever else writes to standard output from now on is a log."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return kept


def die_with_parent() -> None:
    """A worker that is killed takes its models along; elsewhere than on Linux the end of its pipe does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def import_vlmeval() -> Any:
    """VLMEvalKit with its real model classes; what only its datasets compute with may be missing.

    Upstream's dataset modules import dozens of packages for scoring, which happens elsewhere.
    """
    shim = beside("assay_shim", HERE.parent / "shim.py")
    here = {name for name in shim.HOLLOW if "." not in name and _installed(name)}
    before = set(sys.modules)
    shim.install(real={*here, "vlmeval.vlm"})
    finder = sys.meta_path[0]
    importlib.import_module("vlmeval.dataset")
    # A model class must find the packages that it computes with, or say which one is missing.
    sys.meta_path.remove(finder)
    for name in set(sys.modules) - before:
        if isinstance(sys.modules[name], shim.HollowModule):
            del sys.modules[name]
    return importlib.import_module("vlmeval.config")


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def build(job: Mapping[str, Any]) -> tuple[Any, dict[str, object]]:
    """The model, and what there is to say about it."""
    torch: Any = importlib.import_module("torch")
    rules = beside("assay_loading", HERE / "loading.py")
    rules.forbid_remote_code(allowed=job["trust_remote_code"])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        rules.without_cards(torch)
    weights, revision = rules.weights_of(job)
    config = import_vlmeval()
    made = config.supported_VLM[job["name"]]
    if device == "cpu":
        rules.pretend_memory()
    model = made(**{**job["arguments"], job["argument"]: weights})
    told = {
        "ready": True,
        "device": device,
        "state": rules.kept_between_samples(type(model)),
        "revision": revision,
        "versions": rules.versions(),
    }
    return model, told


def message_of(model: Any, asked: Mapping[str, Any]) -> Any:
    """The prompt: the class's own where it has one for the dataset, else the dataset's."""
    dataset, files = asked["dataset"], asked["files"]
    if hasattr(model, "set_dump_image"):
        model.set_dump_image(lambda _line: list(files))
    custom = getattr(model, "use_custom_prompt", None)
    if asked.get("own", True) and custom is not None and custom(dataset):
        pandas: Any = importlib.import_module("pandas")
        line = pandas.Series(asked["row"], dtype=object)
        return model.build_prompt(line, dataset=dataset)
    return asked["message"]


def answer(model: Any, asked: Mapping[str, Any]) -> str:
    """What the model says, as upstream takes it: whatever it is, as text."""
    if "messages" in asked:
        # Upstream's `chat` would drop earlier turns on any error and go on.
        turns = [
            {**turn, "content": model.preproc_content(turn["content"])}
            for turn in asked["messages"]
        ]
        return str(model.chat_inner(turns, dataset=asked["dataset"]))
    message = message_of(model, asked)
    return str(model.generate(message=message, dataset=asked["dataset"]))


def said(error: BaseException) -> dict[str, str]:
    """An error as the worker can tell it on: `kind` decides what follows."""
    traceback.print_exception(type(error), error, error.__traceback__)
    text = f"{type(error).__name__}: {error}".strip()
    name = type(error).__name__
    if name in {"OutOfMemoryError", "MemoryError"} or "CUDA out of memory" in text:
        kind = "out_of_memory"
    elif "CUDA error" in text or "device-side assert" in text:
        kind = "card_lost"
    elif isinstance(error, (ImportError, AttributeError)):
        kind = "other_environment"
    elif name == "RemoteCodeError":
        kind = "remote_code"
    else:
        kind = "failed"
    return {"error": " ".join(text.split())[:2000], "kind": kind}


def main() -> int:
    """Builds, then answers until its input ends."""
    die_with_parent()
    out = outlet()

    def tell(document: Mapping[str, object]) -> None:
        out.write(json.dumps(document, ensure_ascii=True) + "\n")
        out.flush()

    job = json.loads(sys.stdin.readline())
    try:
        model, told = build(job)
    except BaseException as error:  # noqa: BLE001 - asserts, exits: all of them end the building
        tell(said(error))
        return 1
    tell(told)
    for line in sys.stdin:
        started = time.monotonic()
        try:
            text = answer(model, json.loads(line))
        except Exception as error:  # noqa: BLE001 - one sample's trouble; the worker decides
            _empty_cache()
            tell(said(error))
            continue
        # As upstream does after every sample.
        _empty_cache()
        tell({"text": text, "seconds": time.monotonic() - started})
    return 0


def _empty_cache() -> None:
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(main())
