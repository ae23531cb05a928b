"""The `assay` command, as pyproject's `[project.scripts]` names it."""

from __future__ import annotations

import typer

from assay.cli.cancel import cancel
from assay.cli.cluster import WAIT_CODES
from assay.cli.compare import compare
from assay.cli.datasets import app as datasets
from assay.cli.doctor import DOCTOR_CODES, doctor
from assay.cli.errors import DONE_CODES
from assay.cli.list import list_runs
from assay.cli.logs import logs
from assay.cli.models import app as models
from assay.cli.rejudge import rejudge
from assay.cli.report import report
from assay.cli.retry import retry
from assay.cli.run import run
from assay.cli.score import score
from assay.cli.status import status
from assay.cli.submit import submit
from assay.cli.version import version
from assay.cli.wait import wait, watch

EXIT_CODES = (
    "Exit codes: 0 complete; 3 a task's coverage is below coverage_threshold; 2 refused, nothing was "
    "started; 130 stopped on request (Ctrl-C, SIGTERM), can go on; 1 anything else."
)

REPORT_CODES = (
    "Exit codes: 0 done; 5 a --threshold is missed; 2 refused, nothing was written; "
    "1 anything else."
)

app = typer.Typer(
    name="assay",
    help="EvalScope's VLMEvalKit evaluations: faithful, durable, fast.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    # A traceback would show locals, and locals hold keys.
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(epilog=EXIT_CODES)(run)
app.command(epilog=EXIT_CODES)(retry)
app.command(epilog=EXIT_CODES)(score)
app.command(epilog=EXIT_CODES)(rejudge)
app.command(epilog=REPORT_CODES)(report)
app.command(epilog=DONE_CODES)(compare)
app.add_typer(datasets)
app.add_typer(models)
app.command(epilog=DONE_CODES)(submit)
app.command("list", epilog=DONE_CODES)(list_runs)
app.command(epilog=DONE_CODES)(status)
app.command(epilog=WAIT_CODES)(watch)
app.command(epilog=WAIT_CODES)(wait)
app.command(epilog=DONE_CODES)(logs)
app.command(epilog=DONE_CODES)(cancel)
app.command(epilog=DOCTOR_CODES)(doctor)
app.command()(version)

if __name__ == "__main__":
    app()
