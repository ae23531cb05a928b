"""The page that a run leaves: there at its end, never older than the results, with real pictures."""

import pytest

from support.browser import CHROMIUM, DRIVER, chromium
from support.local_runs import report

pytestmark = pytest.mark.e2e


def page_of(run_dir):
    return (run_dir / "report.html").read_text()


def test_a_retry_writes_the_page_anew(desk, stub, tmp_path):
    run_dir = tmp_path / "run"
    user = desk(count=12)
    stub.status = lambda index: 400 if index in {3, 7} else 200
    assert user.run(run_dir).returncode == 3
    assert "Score withheld" in page_of(run_dir)
    assert "request_rejected" in page_of(run_dir)
    stub.status = lambda _: 200
    done = user.assay("retry", run_dir)
    assert done.returncode == 0, done.stderr
    assert "Score withheld" not in page_of(run_dir)
    assert "12 of 12" in page_of(run_dir)


@pytest.mark.skipif(
    not (CHROMIUM.exists() and DRIVER.exists()),
    reason=f"no {CHROMIUM} and {DRIVER} here (Debian: chromium, chromium-driver)",
)
def test_the_pictures_that_were_sent_are_seen_in_a_browser(desk, tmp_path):
    run_dir = tmp_path / "run"
    assert desk(count=12).run(run_dir).returncode == 0
    with chromium("--window-size=1400,1000") as browser:
        browser.open(run_dir / "report.html")
        browser.wait("[...document.images].every((image) => image.complete)")
        shown = browser.run("return [...document.images].map((i) => i.naturalWidth)")
        # Twelve in the list and the chosen one; upstream sends pictures this small enlarged.
        assert (len(shown), set(shown)) == (13, {100})
        text = browser.run("return document.getElementById('detail').textContent")
        assert "Which digit is this? #0" in text
        assert browser.console() == []


def test_a_page_that_cannot_be_written_costs_no_result(desk, tmp_path):
    run_dir = tmp_path / "run"
    user = desk(count=6)
    assert user.run(run_dir).returncode == 0
    (run_dir / "report.html").unlink()
    (run_dir / "report.html").mkdir()
    done = user.assay("run", user.file, "--run-dir", run_dir, "--resume")
    assert done.returncode == 0, done.stderr
    assert "their page could not be written" in " ".join(done.stderr.split())
    assert report(run_dir)["run"]["state"] == "COMPLETE"
