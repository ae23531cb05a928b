"""`assay report RUN`: the table of a run that ended, here or in the cluster, or its page."""

from __future__ import annotations

import json
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assay.cli.cluster import (
    ContextOption,
    KubeconfigOption,
    NamespaceOption,
    in_cluster,
    place_of_run,
)
from assay.cli.errors import told
from assay.cli.fetched import Fetching, result_folder
from assay.domain.errors import ConfigError, CorruptError, NotFoundError
from assay.report.build import REPORT_SCHEMA

if TYPE_CHECKING:
    from assay.cli.exports import Exports

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print report.json instead of the table.")
]
FileArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FILE]",
        help="Where --html writes the page. Default: report.html in the run's folder; of a run in the "
        "cluster, in -o, or in a folder named after the execution.",
        show_default=False,
    ),
]
HtmlOption = Annotated[
    bool,
    typer.Option("--html", help="Write the results and all samples as one web page."),
]


class Pictures(StrEnum):
    """Which pictures a page shows."""

    ALL = "all"
    SOME = "some"
    NONE = "none"


PicturesOption = Annotated[
    Pictures,
    typer.Option(
        "--pictures",
        help="With --html: which pictures are put beside the page; some: up to 1 GB, those of samples "
        "without a right answer first.",
    ),
]


ThresholdOption = Annotated[
    list[str] | None,
    typer.Option(
        "--threshold",
        metavar="DATASET[/METRIC]=VALUE",
        help="What a score must reach, on its own scale, with every model; again for more. Without METRIC, "
        "the first headline figure. One that is missed, or withheld, makes the command exit with 5.",
        show_default=False,
    ),
]
JunitOption = Annotated[
    Path | None,
    typer.Option(
        "--junit",
        metavar="FILE",
        help="Write tasks and thresholds as JUnit XML, for CI.",
        show_default=False,
    ),
]
CsvOption = Annotated[
    Path | None,
    typer.Option(
        "--csv", metavar="FILE", help="Write all figures as CSV.", show_default=False
    ),
]
SamplesOption = Annotated[
    Path | None,
    typer.Option(
        "--samples-csv",
        metavar="FILE",
        help="Write all samples as CSV. In both, text that a spreadsheet would run as a formula gets an "
        "apostrophe in front.",
        show_default=False,
    ),
]
MlflowOption = Annotated[
    bool,
    typer.Option(
        "--mlflow",
        help="Log each model as a run of MLflow, which must be installed; MLFLOW_TRACKING_URI and "
        "MLFLOW_EXPERIMENT_NAME say where to.",
    ),
]


OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="Of a run in the cluster: keep all files of its result in this folder.",
        show_default=False,
    ),
]

ExecutionOption = Annotated[
    str | None,
    typer.Option(
        "--execution",
        metavar="ID",
        help="Of a run in the cluster: an earlier execution, as `assay status` lists them.",
        show_default=False,
    ),
]


def report(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="The run's folder; where there is none of that name, a run's name in the cluster, "
            "as `assay list` shows: its result is fetched through the aggregator.",
        ),
    ],
    file: FileArgument = None,
    *,
    output: OutputOption = None,
    execution: ExecutionOption = None,
    as_json: JsonOption = False,
    html: HtmlOption = False,
    pictures: PicturesOption = Pictures.SOME,
    threshold: ThresholdOption = None,
    junit: JunitOption = None,
    csv: CsvOption = None,
    samples_csv: SamplesOption = None,
    mlflow: MlflowOption = False,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Print the result table of a run again, make a page of it, export it, or hold it against thresholds."""
    if file is not None and not html:
        raise typer.BadParameter("only --html writes a file", param_hint="FILE")
    _refuse_for_folders(run, output, execution)
    place = partial(place_of_run, run, kubeconfig, context, namespace)
    page = html and file is None and in_cluster(run)
    how = Fetching(html or samples_csv is not None or mlflow, page, output, execution)
    with told():
        _refuse_missing_folders(file, junit, csv, samples_csv)
        with result_folder(run, place, how) as run_dir:
            from assay.cli.exports import Exports  # noqa: PLC0415 - not before it is asked for

            document = read_report(run_dir)
            exports = Exports(run_dir, document, threshold or ())
            _write(exports, junit, csv, samples_csv)
            if html:
                fetched = _page_in(run_dir, pictures) if how.page else None
                typer.echo(f"wrote {fetched or write_html(run_dir, file, pictures)}")
            if mlflow:
                typer.echo(f"logged to MLflow: {', '.join(exports.mlflow())}")
            if as_json or not (html or junit or csv or samples_csv or mlflow):
                show_report(document, as_json=as_json)
            exports.judge()


def _refuse_for_folders(run: str, output: Path | None, execution: str | None) -> None:
    """What only a run in the cluster has is no option of a folder."""
    for given, hint in ((output, "-o"), (execution, "--execution")):
        if given is not None and not in_cluster(run):
            raise typer.BadParameter(f"{run} is here already", param_hint=hint)


def _write(
    exports: Exports, junit: Path | None, csv: Path | None, samples: Path | None
) -> None:
    for target, make in (
        (junit, exports.junit),
        (csv, exports.figures),
        (samples, exports.samples),
    ):
        if target is not None:
            typer.echo(f"wrote {exports.write(target, make())}")


def _refuse_missing_folders(*files: Path | None) -> None:
    """A folder that is not there is a slip of the pen, said before anything is fetched or written."""
    names = ("FILE", "--junit", "--csv", "--samples-csv")
    for name, file in zip(names, files, strict=True):
        if file is not None and not file.parent.is_dir():
            raise ConfigError(
                name,
                f"cannot write {file}: there is no folder {file.parent}",
                "name a file in a folder that is there",
            )


def _page_in(run_dir: Path, pictures: Pictures) -> Path | None:
    """The page as the cluster drew it, which has its datasets; None: it has drawn none like that yet."""
    from assay.report.page import PAGE  # noqa: PLC0415 - not before it is asked for

    page = run_dir / PAGE
    return page if page.is_file() and pictures is Pictures.SOME else None


def write_html(run_dir: Path, file: Path | None, pictures: Pictures) -> Path:
    """Writes the page of a run, with prompts and pictures of datasets that are in this user's cache.

    Raises:
        CorruptError: the run's folder, or a dataset in the cache, cannot be read.
        NotFoundError: the folder holds no run that ended.
        StoreUnavailableError: the page cannot be written, or the cache not be read.
    """
    from assay.local.launch import cache_folder  # noqa: PLC0415 - not before it is asked for
    from assay.report.html_pictures import BUDGET_BYTES  # noqa: PLC0415
    from assay.report.page import write_page  # noqa: PLC0415
    from assay.store.folder import FolderStore  # noqa: PLC0415

    room = {Pictures.ALL: None, Pictures.SOME: BUDGET_BYTES, Pictures.NONE: 0}
    store = FolderStore(cache_folder())
    return write_page(run_dir, store, file, picture_bytes=room[pictures])


def read_report(run_dir: Path) -> dict[str, Any]:
    """The report in a run's folder.

    Raises:
        NotFoundError: there is none.
        CorruptError: it cannot be read.
    """
    path = run_dir / "report.json"
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise NotFoundError(
            f"cannot read {path}: {error.strerror or error}",
            cure="name the folder of a run that ended; `assay run FILE --resume` ends one that has not",
        ) from error
    except ValueError as error:
        raise CorruptError(f"cannot read {path}: {error}") from error
    if not isinstance(document, dict) or document.get("schema") != REPORT_SCHEMA:
        raise CorruptError(f"cannot read {path}: it holds no report of this version")
    return document


def show_report(document: dict[str, Any], *, as_json: bool) -> None:
    """Prints a report on standard output."""
    if as_json:
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    from rich.console import Console  # noqa: PLC0415 - not before something is drawn

    from assay.report.terminal import print_report  # noqa: PLC0415

    print_report(document, Console())
