"""`assay run FILE`: one evaluation on this machine."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay.cli.errors import on_one_line, told
from assay.cli.report import JsonOption, read_report, show_report
from assay.domain.report import RunState
from assay.domain.run import Mode
from assay.process.contract import ExitCode

if TYPE_CHECKING:
    from assay.local import RunOutcome

UnsealedOption = Annotated[
    bool,
    typer.Option(
        "--unsealed",
        help="Prepare and score outside the sandbox, where this machine cannot seal. "
        "Only for datasets and models you trust: their text is run as code.",
    ),
]


def run(
    file: Annotated[
        Path, typer.Argument(help="EvalScope file (YAML or JSON) with eval_config.")
    ],
    *,
    run_dir: Annotated[
        Path | None,
        typer.Option(
            "--run-dir",
            metavar="DIR",
            help="The run's folder. Default: work_dir/<timestamp>. With `mode: eval`: the run whose "
            "answers are scored.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run in --run-dir, or with the newest unfinished run of this "
            "file below work_dir. Answers that are there are not asked for again; of a run that "
            "ended below its coverage what is unscored is asked again.",
        ),
    ] = False,
    as_json: JsonOption = False,
    unsealed: UnsealedOption = False,
    preflight: Annotated[
        bool,
        typer.Option(
            "--preflight/--no-preflight",
            help="Ask the judge model, if there is one, before any model is asked, and refuse the run if "
            "it does not answer.",
        ),
    ] = True,
) -> None:
    """Evaluate what FILE asks for: fetch, infer, score, report."""
    with told():
        from assay.cli.progress import progress  # noqa: PLC0415 - once it is needed
        from assay.local import run as run_here  # noqa: PLC0415

        with progress() as listener:
            outcome = run_here(
                file,
                run_dir,
                resume=resume,
                unsealed=unsealed,
                preflight=preflight,
                listener=listener,
            )
        conclude(outcome, file, as_json=as_json)


def conclude(outcome: RunOutcome, file: Path | None, *, as_json: bool) -> None:
    """Prints the result, or why there is none and how to go on, and exits.

    Raises:
        typer.Exit: with the run's exit code.
    """
    if outcome.state is not RunState.RUNNING:
        document = read_report(outcome.run_dir)
        # They were said when the run started.
        shown = document if as_json else {**document, "notes": []}
        show_report(shown, as_json=as_json)
    if outcome.message and outcome.exit_code in {ExitCode.FAILED, ExitCode.BAD_CONFIG}:
        typer.echo(f"error: {on_one_line(outcome.message)}", err=True)
    for line in _how_to_go_on(outcome, file):
        typer.echo(line, err=True)
    raise typer.Exit(outcome.exit_code)


def _how_to_go_on(outcome: RunOutcome, file: Path | None) -> list[str]:
    folder = shlex.quote(str(outcome.run_dir))
    name = shlex.quote(str(file)) if file else "FILE"
    if outcome.exit_code == ExitCode.OK:
        return [f"results: {folder}"]
    if outcome.held:
        # The message says whom to wait for; the same command would be refused again.
        return []
    if outcome.mode is Mode.EVAL and outcome.state is not RunState.BELOW_COVERAGE:
        return [f"every acknowledged answer is kept; score with: assay score {folder}"]
    if outcome.state is RunState.BELOW_COVERAGE:
        keys = f" {name}" if file else ""
        return [
            f"results: {folder}",
            f"ask again what is unscored: assay retry {folder}{keys}",
        ]
    if not outcome.kept:
        # Its type, its sources or its limit may have been wrong, and those name the run.
        return [f"no answer was kept, nothing is lost; start it anew: assay run {name}"]
    command = f"assay run {name} --run-dir {folder} --resume"
    return [f"every acknowledged answer is kept; go on with: {command}"]
