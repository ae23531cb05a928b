"""`assay rejudge RUN --judge NAME`: judges the answers of a run anew, and says how far both judges agree."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import SecretStr

from assay.cli.errors import told
from assay.cli.report import JsonOption
from assay.cli.run import UnsealedOption, conclude

if TYPE_CHECKING:
    from assay.local import RunOutcome


RunArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help="The folder of a run that has ended; it stays as it is."
    ),
]
JudgeOption = Annotated[
    str,
    typer.Option(
        "--judge",
        metavar="NAME",
        help="The judge, as `judge` of eval_config names one; `exact_matching` asks nobody.",
    ),
]
BaseOption = Annotated[
    str | None,
    typer.Option(
        "--judge-base-url",
        metavar="URL",
        help="Its base, such as http://localhost:8000/v1.",
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--judge-key-env",
        metavar="VARIABLE",
        help="The variable that holds its key. Of api.openai.com OPENAI_API_KEY is read without it.",
    ),
]
ArgsOption = Annotated[
    str | None,
    typer.Option(
        "--judge-args",
        metavar="JSON",
        help="More settings of the judge, as `judge_args` has them.",
    ),
]
FolderOption = Annotated[
    Path | None,
    typer.Option(
        "--run-dir",
        metavar="DIR",
        help="The new run's folder. Default: a new one beside RUN.",
    ),
]
PreflightOption = Annotated[
    bool,
    typer.Option(
        "--preflight/--no-preflight",
        help="Ask the judge before anything starts, and refuse if it does not answer.",
    ),
]


def rejudge(
    run_dir: RunArgument,
    *,
    judge: JudgeOption,
    base_url: BaseOption = None,
    key_variable: KeyOption = None,
    args: ArgsOption = None,
    new_dir: FolderOption = None,
    as_json: JsonOption = False,
    unsealed: UnsealedOption = False,
    preflight: PreflightOption = True,
) -> None:
    """Judge the answers of a run anew: no model is asked, both results stay, their agreement is told.

    In a cluster another judge in the EvalRun is the same.
    """
    with told():
        from assay.cli.progress import progress  # noqa: PLC0415 - once it is needed
        from assay.local.rejudge import Wanted  # noqa: PLC0415
        from assay.local.rejudge import rejudge as rejudge_here  # noqa: PLC0415

        wanted = Wanted(
            judge=judge, base_url=base_url, key=_key(key_variable), args=args
        )
        with progress() as listener:
            outcome = rejudge_here(
                run_dir,
                wanted,
                new_dir,
                environ=os.environ,
                preflight=preflight,
                unsealed=unsealed,
                listener=listener,
            )
        if not as_json:
            _show_agreement(outcome)
        conclude(outcome, None, as_json=as_json)


def _key(variable: str | None) -> SecretStr | None:
    if variable is None:
        return None
    value = os.environ.get(variable)
    if not value:
        raise typer.BadParameter(
            f"{variable} is not set in the environment", param_hint="--judge-key-env"
        )
    return SecretStr(value)


def _show_agreement(outcome: RunOutcome) -> None:
    """What the new run's folder says of both judges, as `assay compare` shows it."""
    from assay.local.rejudge import AGREEMENT  # noqa: PLC0415 - as above

    path = outcome.run_dir / AGREEMENT
    if not path.is_file():
        return
    from rich.console import Console  # noqa: PLC0415 - as above

    from assay.report.compare_view import print_comparison  # noqa: PLC0415

    print_comparison(json.loads(path.read_text(encoding="utf-8")), Console())
