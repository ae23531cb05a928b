"""docs/config.md, written from the models themselves: `python -m assay.config.reference > docs/config.md`.

A test compares the committed page with what this writes, so that the page cannot drift.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from assay.config.evalconfig import EvalConfig
from assay.config.file import EvalFile
from assay.config.kinds import Fate, Honoured, Kind, Mapped, NoEffect, Refused
from assay.config.model import ModelConfig
from assay.config.source import SourceConfig
from assay.config.taskkeys import IgnoredTaskKeys
from assay.domain.catalog import State, lookup, names

_INTRODUCTION = """\
# The config file

<!-- Written by `python -m assay.config.reference`; edit the models in services/assay/config instead. -->

`assay run eval.yaml` takes EvalScope's file for its VLMEvalKit backend as it is: YAML or JSON, or a nested
dict from Python. Every key is known here and one of four things happens to it:

- **honoured**: it does what it says;
- **mapped**: it is another name of something, which then holds;
- **no effect**: it is accepted and changes nothing; the report's notes say so;
- **refused**: the run does not start, and the message says where, why, and what to write instead.

A key that is not listed is refused with the nearest one that is (below a model: sent in the request body,
see there). Numbers are never written in quotes; 1 and 1.0 are the same number; true and false are no numbers.
A key that stands twice is refused. Relative paths start from the current folder. Secrets stay in memory:
they are in no report, no log and no file of a run.

```yaml
work_dir: outputs
eval_backend: VLMEvalKit
eval_config:
  model:
    - name: CustomAPIModel
      type: Qwen2.5-VL-3B-Instruct
      api_base: http://localhost:8000/v1/chat/completions
      key: EMPTY
      temperature: 0.0
      max_tokens: 1024
  data: [MMStar, my_dataset]
  limit: 200
  nproc: 16
  judge: exact_matching
dataset_sources:
  my_dataset:
    path: data/my_dataset.tsv
    sha256: 6a0fd9d4a0b4c5a1bd1a2b2f4f8dd7ae2c0c1e6a7ef3a2a2a7d0c9b5ee3c1f10
```
"""
_SECTIONS: tuple[tuple[str, type[BaseModel], str], ...] = (
    (
        "Top level",
        EvalFile,
        (
            "`work_dir` gets one folder per run, named by its start. The keys marked *ours* are additions to "
            "EvalScope's file."
        ),
    ),
    (
        "`eval_config`",
        EvalConfig,
        (
            "The keys are those of VLMEvalKit 0.0.20. What it reads only together with `base_url` is "
            "refused, because it would be ignored silently."
        ),
    ),
    (
        "`eval_config.model[]`",
        ModelConfig,
        (
            "The model's key, which names its folder, is the last part of `type` with `:` as `-` and `.` "
            "as `_`, as VLMEvalKit writes it; two models that would share a folder are numbered `-2`, `-3`, "
            "… in the file's order.\n\n"
            "A key that is not listed goes into every request body (`top_p`, `seed`, "
            "`chat_template_kwargs`, …), as upstream's does. Refused there: what resembles a listed key, "
            "keys of the run such as `nproc`, secrets such as `api_key`, `stream: true`, and what JSON "
            "cannot say.\n\n"
            "A `name` of VLMEvalKit's `supported_VLM` instead of `CustomAPIModel` is a local model: its "
            "other keys are arguments of its class, and `trust_remote_code`, `gpus`, `python`, `revision`, "
            "`weights_sha256` and `any_transformers` "
            "(docs/local-models.md).\n\n"
            "Also refused: an `api_base` that is only a base (`…/v1`), a `type` that holds `ernie` "
            "(VLMEvalKit would ask another server), the same entry twice."
        ),
    ),
    (
        "`dataset_sources.<NAME>`",
        SourceConfig,
        (
            "Exactly one of `url`, `path` and `s3`. A name that VLMEvalKit documents is fetched from here "
            "instead of upstream's address; any other name is a custom dataset."
        ),
    ),
)
_DATASETS = """\
## Datasets

A name in `eval_config.data` is one of the {names} names VLMEvalKit documents (exactly as it is spelt), a name
of `dataset_sources`, or that of a file `NAME.tsv` in `$LMUData` (default `~/LMUData`). `assay datasets list`
shows what is documented. Of these names

- {scored} are scored;
- {asked} have no answers that could be compared, or no scorer: their questions are asked, and the predictions
  are the result (`assay datasets list --json` names what has a score in their place);
- {refused} are refused with the reason: conversations, video, VCR, and what only a judge model can score.

`limit` takes the first rows of each dataset, as VLMEvalKit does, and is refused where that fails on them:

- an odd one with MME, which asks two questions about each picture;
- any with a name that is put together from others ({collections}): name the parts;
- one that leaves out a kind of task with MMT-Bench_VAL and MMT-Bench_VAL_MI, whose averages need every kind;
  this is known once the file is there, and the message names the least limit.
"""


def reference() -> str:
    """The page."""
    sections = [_section(*section) for section in _SECTIONS]
    return "\n".join([_INTRODUCTION, *sections, _datasets()])


def _datasets() -> str:
    """What may be named, counted as the catalog has it."""
    documented = [entry for name in names() if (entry := lookup(name)) is not None]
    states = Counter(entry.state for entry in documented)
    return _DATASETS.format(
        names=len(documented),
        scored=states[State.SCORES],
        asked=states[State.INFER_ONLY],
        refused=states[State.NEEDS_JUDGE] + states[State.NOT_YET],
        collections=", ".join(entry.name for entry in documented if entry.members),
    )


def _section(title: str, cls: type[BaseModel], text: str) -> str:
    rows = [
        _row(name, field)
        for name, field in cls.model_fields.items()
        if name not in IgnoredTaskKeys.model_fields or not issubclass(cls, EvalFile)
    ]
    lines = [f"## {title}", "", text, "", "| key | type | default | what happens |"]
    lines += ["|---|---|---|---|", *rows, ""]
    if cls is EvalFile:
        lines += [_ignored(), ""]
    return "\n".join(lines)


def _ignored() -> str:
    """The task-level keys that EvalScope's VLMEvalKit backend does not read, by what becomes of them."""
    groups: dict[str, list[str]] = {}
    for name, field in IgnoredTaskKeys.model_fields.items():
        groups.setdefault(_fate(field), []).append(f"`{name}`")
    lines = [f"- {', '.join(names)}: {fate}" for fate, names in groups.items()]
    return "\n".join(["EvalScope's other task-level keys:", "", *lines])


def _row(name: str, field: FieldInfo) -> str:
    says = (field.description or "").replace("|", "\\|")
    cells = (f"`{name}`", _kind(field), _default(field), f"{_fate(field)} {says}")
    return f"| {' | '.join(cells)} |"


def _kind(field: FieldInfo) -> str:
    kinds = [mark for mark in field.metadata if isinstance(mark, Kind)]
    if kinds:
        return kinds[0].says() + (" or null" if kinds[0].null else "")
    if any(isinstance(mark, Refused) for mark in field.metadata):
        return "-"
    text = str(field.annotation)
    if text.startswith("list"):
        return "a list"
    return "any" if field.annotation is Any else "a map"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    return f"`{value}`" if value != "" else "empty"


def _fate(field: FieldInfo) -> str:
    mark = next(m for m in field.metadata if isinstance(m, Fate))
    if isinstance(mark, Honoured):
        return "**honoured.**"
    if isinstance(mark, Mapped):
        return f"**mapped** to `{mark.to}`."
    if isinstance(mark, NoEffect):
        return f"**no effect**: {mark.why}."
    harmless = [_word(value) for value in mark.unless]
    unless = f" unless {' or '.join(harmless)}" if harmless else ""
    return f"**refused**{unless}: {mark.why}. Cure: {mark.cure}."


def _word(value: object) -> str:
    return {None: "null", False: "false"}.get(value, f"`{value}`")  # type: ignore[call-overload, no-any-return]


if __name__ == "__main__":
    sys.stdout.write(reference())
