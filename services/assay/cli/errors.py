"""How every command says that it cannot: `error: ...` and `cure: ...` on standard error, no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from assay.domain.errors import AssayError, ConfigError, ConflictError, NotFoundError
from assay.process.contract import ExitCode

DONE_CODES = "Exit codes: 0 done; 2 refused, nothing was started; 1 anything else."
"""What the help of a command says that runs nothing."""


@contextmanager
def told() -> Iterator[None]:
    """Prints errors of ours and exits: 2 for what the user wrote, 1 otherwise.

    What is named and not there, or is another's, is the user's too: whatever a run meets once it has
    started is no error but its outcome.

    Raises:
        typer.Exit: with the exit code.
    """
    try:
        yield
    except ConfigError as error:
        for problem in error.problems:
            say(problem)
        raise typer.Exit(ExitCode.BAD_CONFIG) from None
    except (NotFoundError, ConflictError) as error:
        say(error)
        raise typer.Exit(ExitCode.BAD_CONFIG) from None
    except AssayError as error:
        say(error)
        raise typer.Exit(ExitCode.FAILED) from None


def say(error: AssayError) -> None:
    """One error and its cure."""
    typer.echo(f"error: {on_one_line(error.message)}", err=True)
    if error.cure:
        typer.echo(f"cure: {on_one_line(error.cure)}", err=True)


def on_one_line(text: str) -> str:
    """Text without control characters, which could rewrite the screen."""
    return "".join(c if c.isprintable() else " " for c in text)
