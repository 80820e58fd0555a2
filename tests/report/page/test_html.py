"""The page, also in a real browser: tables, plots, filter, no error, and no script that is not its own."""

import html
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from recmm.report.command import write_report

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"),
    *("--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom"),
)
EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"

Browse = Callable[[str], tuple[str, list[str]]]


def test_what_comes_from_files_is_escaped(write_run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    page = evil_report(write_run, tmp_path).read_text(encoding="utf-8")
    assert "<script>document" not in page
    assert "<img src=x" not in page
    assert "</script><img" not in page.replace("<\\/", "</")
    assert "&lt;script&gt;document.title=" in page


def test_a_terminal_that_shows_the_page_is_given_no_orders(write_run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_run("sweep/a", model="a\x1b[2Jb", dataset="c\u202ed")
    page = write_report([tmp_path / "sweep"], tmp_path / "out", ["recall@20"]).read_text(encoding="utf-8")
    assert "\x1b" not in page and "\u202e" not in page
    assert "a\N{REPLACEMENT CHARACTER}[2Jb" in page and "c\N{REPLACEMENT CHARACTER}d" in page


def evil_report(write_run, tmp_path: Path) -> Path:  # type: ignore[no-untyped-def]
    for number, rate in enumerate((0.1, 0.9)):
        missing = {"setting": f"rate{EVIL}", "rate": rate}
        write_run(f"sweep/javascript:{number}", model=EVIL, dataset=EVIL, imputer=EVIL, missing=missing)
    (tmp_path / "sweep" / "published.csv").write_text(
        "table,dataset,missing,method,variant,rate,metric,value,note\n"
        f'"{EVIL.replace(chr(34), chr(34) * 2)}",d,m,x,,,recall@20,,"{EVIL.replace(chr(34), chr(34) * 2)}"\n'
    )
    return write_report([tmp_path / "sweep"], tmp_path / "out", ["recall@20"])


def test_nothing_is_loaded_from_outside(made_sweep: Path, tmp_path: Path) -> None:
    page = write_report([made_sweep], tmp_path / "out", ["recall@20"]).read_text(encoding="utf-8")
    assert "default-src 'none'" in html.unescape(page)
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    loading = re.findall(r'(?:src|<link[^>]*href)="([^"]*)"', own)
    assert loading and all(address.startswith("data:") for address in loading)
    assert not re.search(r'href="(?:https?:)?//', own)


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """Address -> the document after its scripts have run, and what the console said."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")

    def run(address: str) -> tuple[str, list[str]]:
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", address]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
        return done.stdout, re.findall(r"CONSOLE.*", done.stderr)

    return run


def shown_runs(document: str) -> list[str]:
    """The folders in the table of runs that are not hidden."""
    rows = re.findall(r'<tr id="run-\d+"([^>]*)>\s*<th scope="row"><a href="([^"]*)"', document)
    return [folder.strip("./").rpartition("/")[2] for state, folder in rows if "hidden" not in state]


@pytest.mark.slow
def test_the_page_opens_with_tables_and_plots_and_without_a_word_in_the_console(
    made_sweep: Path, browse: Browse, tmp_path: Path
) -> None:
    page = write_report([made_sweep], tmp_path / "out", ["recall@20"])
    document, console = browse(page.as_uri())
    assert console == []
    assert "0.6250" in document
    drawn = document.count('class="plot js-plotly-plot"')
    assert drawn == document.count("<figure ") > 0
    assert document.count('class="main-svg"') >= drawn
    assert len(shown_runs(document)) == 10


@pytest.mark.slow
def test_the_filter_leaves_the_rows_that_have_all_its_words(made_sweep: Path, browse: Browse, tmp_path: Path) -> None:
    page = write_report([made_sweep], tmp_path / "out", ["recall@20"])
    document, console = browse(f"{page.as_uri()}#filter=SECOND+0.9")
    assert console == []
    assert sorted(shown_runs(document)) == ["second-0.9-0", "second-0.9-1"]
    assert "2 of 10 runs" in document


@pytest.mark.slow
def test_a_run_with_the_name_of_a_script_does_not_run(write_run, browse: Browse, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    document, console = browse(evil_report(write_run, tmp_path).as_uri())
    assert console == []
    assert "<title>recmm report: sweep</title>" in document
    assert document.count('class="plot js-plotly-plot"') > 0


@pytest.mark.slow
def test_the_policy_stops_a_script_that_is_not_the_pages_own(made_sweep: Path, browse: Browse, tmp_path: Path) -> None:
    page = write_report([made_sweep], tmp_path / "out", ["recall@20"])
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("<header>", f"{EVIL}<header>"), encoding="utf-8")
    document, console = browse(page.as_uri())
    assert "<title>recmm report: sweep</title>" in document
    assert any("Content Security Policy" in line for line in console)  # so errors do reach what the tests above read
