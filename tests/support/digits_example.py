"""The digits example as tests use it: its modules, one trained classifier, requests with pictures."""

from __future__ import annotations

import base64
import io
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

FOLDER = Path(__file__).parents[2] / "examples/digits"


@cache
def module(name: str) -> ModuleType:
    """A script of the example, imported as it imports its neighbours: from its own folder."""
    sys.path.insert(0, str(FOLDER))
    try:
        return __import__(name)
    finally:
        sys.path.remove(str(FOLDER))


@cache
def models() -> dict[str, Any]:
    """Trained once: it takes seconds."""
    found: dict[str, Any] = module("classifier").learned()
    return found


def picture(row: dict[str, str]) -> Image.Image:
    """A row's picture."""
    return Image.open(io.BytesIO(base64.b64decode(row["image"])))


def jpeg_url(row: dict[str, str]) -> str:
    """A row's picture as a client sends it."""
    buffer = io.BytesIO()
    picture(row).convert("RGB").save(buffer, "JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def request(text: str, url: str) -> dict[str, object]:
    """A chat request with one picture."""
    shown = {"type": "image_url", "image_url": {"url": url, "detail": "high"}}
    content = [shown, {"type": "text", "text": text}]
    return {
        "model": "digits-svm",
        "messages": [{"role": "user", "content": content}],
    }


def question(row: dict[str, str]) -> str:
    """A row's text as VLMEvalKit words a multiple-choice question."""
    options = "".join(f"{letter}. {row[letter]}\n" for letter in "ABCD")
    ask = "Please select the correct answer from the options above. \n"
    return f"Question: {row['question']}\nOptions:\n{options}{ask}"
