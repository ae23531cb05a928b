"""However many workers share a model's samples, the run leaves the same tables, byte for byte."""

import hashlib

import pyarrow.parquet as pq
import pytest

from support.awkward_tsvs import awkward_tables, with_failures
from support.parity import PARAMETERS, SERVED, eval_file, run_assay
from support.parity_endpoint import parity_endpoint
from support.parity_families import SHARED
from support.parity_results import content

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

KEY = "My_Model-7B"
WORKERS = (1, 2, 7)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same evaluation, with failed rows, by one, two and seven workers."""
    folder = tmp_path_factory.mktemp("workers")
    lmu_data = folder / "lmu"
    lmu_data.mkdir()
    paths = {}
    with parity_endpoint() as endpoint:
        # Nobody is so fast that there is nothing left for the others.
        endpoint.delay = 0.05
        for tables in map(awkward_tables, SHARED):
            with_failures(tables)
            for table in tables:
                paths[table.name] = table.write(lmu_data)
                endpoint.replies |= table.replies
        model = {"name": "CustomAPIModel", "type": SERVED, "wait": 0.05, **PARAMETERS}
        asked = model | {"api_base": endpoint.url("assay")}
        config = eval_file(folder / "outputs", [asked], SHARED, paths)
        config["coverage_threshold"] = 0.5
        yield {
            count: run_assay(
                folder / str(count), config, workers=count, cache=folder / "cache"
            )
            for count in WORKERS
        }


def _digest(run, name):
    table = run.folder / "samples" / KEY / f"{name}.parquet"
    return hashlib.sha256(table.read_bytes()).hexdigest()


@pytest.mark.parametrize("count", WORKERS)
def test_the_rows_are_shared_by_several_workers(runs, count):
    """Who starts last may find nothing left, so only one and several are told apart."""
    found = set()
    for name in SHARED:
        timing = runs[count].folder / "samples" / KEY / f"{name}.timing.parquet"
        found |= set(pq.read_table(timing)["worker_id"].to_pylist()) - {""}
    assert min(count, 2) <= len(found) <= count, runs[count].said


@pytest.mark.parametrize("name", SHARED)
def test_any_number_of_workers_leaves_the_same_sample_table(runs, name):
    assert len({_digest(runs[count], name) for count in WORKERS}) == 1


@pytest.mark.parametrize("name", SHARED)
def test_any_number_of_workers_leaves_the_same_figures_and_files(runs, name):
    tasks = [runs[count].task(name) for count in WORKERS]
    assert tasks[0]["metrics"]
    assert all(task["metrics"] == tasks[0]["metrics"] for task in tasks)
    files = [
        {name: content(run.folder / name) for name in task["files"]}
        for run, task in zip(runs.values(), tasks, strict=True)
    ]
    assert files[0]
    assert all(each == files[0] for each in files)
