"""An interpreter with small stand-ins for torch, transformers and VLMEvalKit's model classes: no gigabytes.

Tests of the local engine run its real processes with it. The classes keep upstream's shape: a constructor
that loads weights, prompts of their own, `generate` and `chat_inner`.
"""

from __future__ import annotations

import stat
import sys
import textwrap
from pathlib import Path

from assay.domain.lease import LeasedSample
from assay.domain.prompt import PicturePart, Prompt, Row, TextPart, Turn
from assay.domain.run import Endpoint, LocalModel, Model, PicturePolicy

_VERSIONS = {"torch": "2.13.0", "transformers": "5.23.0", "ms-vlmeval": "0.0.20"}

_FILES = {
    "torch.py": """
        from types import SimpleNamespace
        class Tensor:
            def to(self, *args): return self
        class Module(Tensor): pass
        class device: pass
        class OutOfMemoryError(RuntimeError): pass
        nn = SimpleNamespace(Module=Module)
        cuda = SimpleNamespace(is_available=lambda: False, empty_cache=lambda: None)
        """,
    "transformers/__init__.py": """
        class BatchFeature:
            def to(self, *args): return self
        class BatchEncoding(BatchFeature): pass
        class PreTrainedModel:
            @classmethod
            def from_pretrained(cls, *args, **kwargs): return cls()
        """,
    "transformers/dynamic_module_utils.py": """
        def get_cached_module_file(where): return where
        """,
    "vlmeval/__init__.py": "",
    "vlmeval/dataset.py": "from decord import VideoReader",
    "vlmeval/classes.py": """
        import os, signal, torch
        from pathlib import Path
        from transformers import dynamic_module_utils

        class Model:
            def __init__(self, model_path, greeting="hello"):
                print("loading", model_path)
                self.words = (Path(model_path) / "model.safetensors").read_text()
                if self.words == "slow": import time; time.sleep(600)
                if self.words == "too large": raise torch.OutOfMemoryError("CUDA out of memory")
                if self.words == "code": dynamic_module_utils.get_cached_module_file(model_path)
                if self.words == "package": import flash_attention_of_yesterday
                self.greeting = greeting
            def set_dump_image(self, dump): self.dump = dump
            def use_custom_prompt(self, dataset): return dataset == "Own"
            def build_prompt(self, line, dataset):
                shown = [dict(type="image", value=path) for path in self.dump(line)]
                return [*shown, dict(type="text", value=f"{dataset}: {line['question']}")]
            def preproc_content(self, content): return content
            def generate(self, message, dataset=None):
                print("noise on standard output")
                text = "|".join(m["value"] if m["type"] == "text" else Path(m["value"]).read_text()
                                for m in message)
                if "full" in text: raise torch.OutOfMemoryError("CUDA out of memory")
                if "wrong" in text: raise ValueError("no such token")
                if "die" in text: os.kill(os.getpid(), signal.SIGKILL)
                if "nothing" in text: return " "
                return f"{self.greeting} {text}"
            def chat_inner(self, messages, dataset=None):
                return " ".join(f"{m['role']}:{m['content'][0]['value']}" for m in messages)

        class Remembers(Model):
            seen = 0
            def generate(self, message, dataset=None):
                self.seen = self.seen + len(message)
                return f"{dataset} {self.seen}"

        class Slow(Model):
            def use_custom_prompt(self, dataset): return True
            def build_prompt(self, line, dataset):
                import time
                time.sleep(float(os.environ.get("SMALL_MODEL_SECONDS", "0")))
                assert all(Path(path).read_bytes()[1:4] == b"PNG" for path in self.dump(line))
                return [dict(type="text", value=f"{line['index']} is {'ABCD'[int(line['index']) % 4]}")]

        class Constant(Model):
            def generate(self, message, dataset=None):
                self.greeting = "again"
                return str(os.getpid())
        """,
    "vlmeval/config.py": """
        from functools import partial
        from vlmeval import classes
        supported_VLM = dict(
            small=partial(classes.Model, model_path="none"),
            remembers=partial(classes.Remembers, model_path="none"),
            constant=partial(classes.Constant, model_path="none"),
        )
        # Under a name that upstream has, so that a file may say it.
        supported_VLM["Qwen2-VL-2B-Instruct"] = partial(classes.Slow, model_path="none")
        """,
}


def small_python(folder: Path, *, without: str = "") -> str:
    """The interpreter; `without` one of its packages."""
    packages = folder / "packages"
    for name, text in _FILES.items():
        path = packages / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    for name, version in _VERSIONS.items():
        if name != without:
            meta = packages / f"{name.replace('-', '_')}-{version}.dist-info/METADATA"
            meta.parent.mkdir(parents=True)
            meta.write_text(f"Name: {name}\nVersion: {version}\n")
    python = folder / "python"
    # The first argument is -I, under which no folder can be added.
    python.write_text(
        f'#!/bin/sh\nshift\nexec env PYTHONPATH={packages} {sys.executable} "$@"\n'
    )
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return str(python)


def weights(folder: Path, words: str = "fine") -> Path:
    """A folder that looks like a model's."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_text(words)
    return folder


def small_model(
    python: str, place: Path, name: str = "small", **local: object
) -> Model:
    """A model of one of the small classes."""
    return Model(
        key=name,
        kind=name,
        served_name=name,
        endpoint=Endpoint(api_base=f"local:{name}", timeout=30.0),
        pictures=PicturePolicy(files=True),
        local=LocalModel(weights=str(place), python=python, **local),
    )


PICTURE = PicturePart(digest="d", key="", offset=0, length=7, url="file:///nowhere")


def sample(
    question: str, *, ordinal: int = 0, history: tuple[str, ...] = ()
) -> LeasedSample:
    """A sample with one picture; with a history, of a conversation of two turns."""
    turn = Turn((PICTURE, TextPart(f"asked {question}")))
    talk = (Turn((TextPart("first"),)), Turn((TextPart(question),)))
    return LeasedSample(
        ordinal=ordinal,
        sample_id=str(ordinal),
        prompt=Prompt(
            talk if history else (turn,),
            Row(f'{{"index": {ordinal}, "question": "{question}"}}', (PICTURE,)),
        ),
        turn=len(history),
        history=history,
    )
