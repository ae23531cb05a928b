"""`report.html` from a run's folder: one file, with pictures beside it; `page` calls it.

Everything in it may be hostile: the template escapes, samples travel as data that a script places as
text, and the page's policy lets no other script run and nothing be loaded but pictures from where the
page itself stands.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from assay.domain.errors import CorruptError, NotFoundError
from assay.report.html_failures import with_failures
from assay.report.html_judge import with_judge
from assay.report.html_pictures import BUDGET_BYTES, Album, album
from assay.report.html_samples import (
    PromptSource,
    SampleTable,
    embed,
    in_script,
    read_samples,
    with_prompts,
)
from assay.report.html_view import TaskView, flat, matrix, task_view, words
from assay.report.terminal import clean


@dataclass(frozen=True, slots=True)
class Page:
    """A page, and the pictures that have to lie beside it."""

    html: bytes
    album: Album


def render_html(
    run_dir: Path,
    prompts: PromptSource | None = None,
    *,
    beside: str = "report.pictures",
    picture_bytes: int | None = BUDGET_BYTES,
) -> Page:
    """The page of the run in `run_dir`; equal folders give equal bytes.

    Args:
        run_dir: the run's folder.
        prompts: what models were shown; None: the page does not say.
        beside: the folder of the pictures, as the page names it.
        picture_bytes: the most they may take; 0: none, None: all of them.

    Raises:
        NotFoundError: the folder has no report.
        CorruptError: it, or a table it names, cannot be read.
    """
    path = run_dir / "report.json"
    try:
        report = json.loads(path.read_bytes())
        tables = [_table(run_dir, task, prompts) for task in report["tasks"]]
        tasks = [
            task_view(number, task, table)
            for number, (task, table) in enumerate(
                zip(report["tasks"], tables, strict=True)
            )
        ]
        sampled = [task.table for task in tasks if task.table]
        pictures = album(sampled, picture_bytes)
        page = _page(report, tasks, pictures, beside)
    except FileNotFoundError as error:
        raise NotFoundError(
            f"cannot read {path}: it is not there",
            cure="name the folder of a run that ended; `assay run FILE --resume` ends one that has not",
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptError(f"cannot read {path}: {error!r}") from error
    # Halves of characters come from outside and must not cost a page.
    return Page(page.encode("utf-8", errors="replace"), pictures)


def _table(
    run_dir: Path, task: Mapping[str, Any], prompts: PromptSource | None
) -> SampleTable | None:
    if not task["samples"]:
        return None
    name = task["samples"]
    table = with_failures(read_samples(run_dir, name), run_dir, name)
    table = with_judge(table, run_dir, name)
    if prompts is None:
        return table
    digest, ids = task["digests"]["prepared"], table.columns["sample_id"]
    return with_prompts(table, prompts.shown(task["dataset"], digest, ids))


def _page(
    report: Mapping[str, Any], tasks: list[TaskView], pictures: Album, beside: str
) -> str:
    sampled = [task for task in tasks if task.table]
    tables = [task.table for task in sampled if task.table]
    embedded = embed(tables, [pictures.numbered(table) for table in tables])
    environment = Environment(
        loader=PackageLoader("assay.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (_asset(environment, name) for name in ("page.css", "page.js"))
    index = [{"task": t.number, "name": f"{t.model} / {t.dataset}"} for t in sampled]
    datasets, rows = matrix(tasks)
    return environment.get_template("page.html").render(
        style=style,
        script=script,
        policy=_policy(style, script),
        run={key: clean(value) for key, value in report["run"].items()},
        finished=_time(report["run"]["finished"]),
        state=words(report["run"]["state"]),
        good=report["run"]["state"] == "COMPLETE",
        notes=[clean(note) for note in report["notes"]],
        tasks=tasks,
        sampled=sampled,
        datasets=datasets,
        rows=rows if len(rows) > 1 else [],
        cut=embedded.cut,
        row_limit=embedded.rows,
        beside=f"{quote(beside)}/",
        left_out=pictures.left_out,
        longest=max((len(t.table) for t in sampled if t.table), default=0),
        # Escaped for where they stand, by `in_script`.
        index=Markup(in_script(index)),  # noqa: S704
        documents=[Markup(text) for text in embedded.documents],  # noqa: S704
        settings=flat(report["settings"]),
        provenance=_provenance(report),
    )


def _provenance(
    report: Mapping[str, Any],
) -> list[tuple[str, list[tuple[str, str]]]]:
    parts = report["provenance"]
    found = [("Versions", flat(parts["versions"]))]
    for kind in ("models", "datasets"):
        found += [
            (f"{kind[:-1].capitalize()} {clean(name)}", flat(each))
            for name, each in parts[kind].items()
        ]
    return found


def _time(text: str) -> str:
    """A moment as a person reads it; as it is where it is none."""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return clean(text)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _asset(environment: Environment, name: str) -> Markup:
    """A file of ours that stands in the page as it is."""
    assert environment.loader is not None
    return Markup(environment.loader.get_source(environment, name)[0])  # noqa: S704


def _policy(style: str, script: str) -> str:
    """Nothing is loaded and nothing runs but the page's own style and script, which it names by digest."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            # On a disk these are files, on a server its own.
            "img-src 'self' data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _digest(text: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode()
