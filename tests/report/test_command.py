"""`python -m recmm report`: what it writes, and that all forms hold the same numbers."""

import csv
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recmm.cli import app
from recmm.errors import RunError
from recmm.report.command import write_report

OVERALL = "overall-tiktok-split-split-recall@20"


class Tables(HTMLParser):
    """The rows of every table of a page, keyed by the id of what encloses it; cells as plain text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self._name, self._in_cell = "", False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        identity = dict(attrs).get("id") or ""
        if tag == "table" or identity.startswith("table-"):
            self._name = identity.removeprefix("table-") or self._name
            self.tables.setdefault(self._name, [])
        elif tag == "tr":
            self.tables[self._name].append([])
        elif tag in ("td", "th"):
            self.tables[self._name][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.tables[self._name][-1][-1] += data


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def made_report(made_sweep: Path) -> Path:
    printed = "table,dataset,missing,method,variant,rate,metric,value,note\n"
    lines = "T,tiktok,rate,first,,0.1,recall@20,0.60,\nT,baby,rate,other_one,,0.1,recall@20,0.07,\n"
    (made_sweep / "published.csv").write_text(printed + lines)
    arguments = ["report", str(made_sweep), "--metric", "recall@20"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert result.output.strip() == f"report: {made_sweep / 'report' / 'index.html'}"
    return made_sweep / "report"


def test_page_csv_and_latex_hold_the_same_numbers(made_report: Path) -> None:
    page = Tables((made_report / "index.html").read_text(encoding="utf-8")).tables
    shown = {row[0]: [re.sub(r"\s+", " ", cell).strip() for cell in row[1:]] for row in page[OVERALL]}
    assert shown == {
        "method": ["rate 0.1", "rate 0.9"],
        "popularity": ["0.2500", "0.2500"],
        "first": ["0.6250 ±\u202f0.1768 [0.60]".replace("\u202f", " "), "0.1250▽ ± 0.1768"],
        "second": ["0.2500 ± 0.0000", "0.5000 ± 0.0000"],
        "third†": ["1.0000", "–"],
    }
    for line in read_csv(made_report / "tables" / f"{OVERALL}.csv"):
        cell = shown[line["method"]][shown["method"].index(line["column"])]
        assert cell.startswith(line["shown"])
        assert f"{float(line['value']):.4f}" == line["shown"]
        assert line["sd"] == "" or f"± {float(line['sd']):.4f}" in cell
    tex = (made_report / "tables" / f"{OVERALL}.tex").read_text(encoding="utf-8")
    for name, cells in shown.items():
        if name != "method":
            (line,) = [line for line in tex.splitlines() if line.startswith(name.replace("†", "$"))]
            assert re.findall(r"\d\.\d{4}", line) == re.findall(r"\d\.\d{4}", " ".join(cells))


def test_every_number_leads_to_its_runs(made_report: Path) -> None:
    page = (made_report / "index.html").read_text(encoding="utf-8")
    rows = dict(re.findall(r'<tr id="run-(\d+)">\s*<th scope="row"><a href="(\S+?)/"', page))
    links = re.findall(r'<a href="#run-(\d+)" data-runs="([\d ]+)" title="([^"]*)">', page)
    assert len(links) > 20
    for first, numbers, tip in links:
        folders = [line for line in tip.splitlines() if not line.startswith("n = ")]
        assert [rows[number] for number in numbers.split()] == folders
        assert first == numbers.split()[0]
        assert all((made_report / folder / "result.json").is_file() for folder in folders)
    for table in (made_report / "tables").glob("overall-*.csv"):
        for line in read_csv(table):
            assert len(line["folders"].split(";")) == int(line["n"])
            assert all((made_report / folder).is_dir() for folder in line["folders"].split(";"))


def test_what_was_loaded_stands_at_the_top(made_report: Path) -> None:
    page = (made_report / "index.html").read_text(encoding="utf-8")
    assert "<dt>Runs</dt><dd>10 finished; left out: 1 failed</dd>" in page
    assert "<dt>Settings</dt><dd>default; published</dd>" in page


def test_figures_as_png_and_svg(made_report: Path) -> None:
    names = {path.name for path in (made_report / "figures").iterdir()}
    assert {f"rate-recall@20-tiktok-split-split-rate.{kind}" for kind in ("png", "svg")} <= names


def test_published_numbers_with_nothing_beside_them_have_a_table(made_report: Path) -> None:
    (line,) = read_csv(made_report / "tables" / "published.csv")
    assert (line["method"], line["recall@20"]) == ("other_one", "0.07")


def test_a_refused_comparison_leaves_the_numbers_and_says_why(write_run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_run("sweep/a", masks="one")
    write_run("sweep/b", model="second", masks="two")
    page = write_report([tmp_path / "sweep"], tmp_path / "out", ["recall@20"]).read_text(encoding="utf-8")
    assert re.search(r'<p class="warning">No test of Recall@20 on tiktok[^<]*mask digests[^<]*', page)
    assert len(Tables(page).tables[OVERALL]) == 3


def test_a_second_report_leaves_nothing_of_the_first(write_run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out"
    for rate in (0.1, 0.9):
        write_run(f"sweep/{rate}", missing={"rate": rate}, values=[1, 0])
    write_report([tmp_path / "sweep"], out, ["recall@20"])
    assert list(out.glob("figures/rate-*.svg")) and list(out.glob("tables/runs.csv"))
    write_report([tmp_path / "sweep" / "0.1"], out, ["recall@20"])
    assert not list(out.glob("figures/rate-*.svg")) and list(out.glob("tables/runs.csv"))


def test_errors_are_one_sentence(made_sweep: Path, tmp_path: Path, refusal: Callable[..., tuple[int, str]]) -> None:
    code, message = refusal("report", str(tmp_path / "nothing"))
    assert code == 1 and message.startswith("RunError: There is no run in") and len(message.splitlines()) == 1
    with pytest.raises(RunError, match=r"metric recall@7: choose among recall@20"):
        write_report([made_sweep], tmp_path / "out", ["recall@7"])
    assert not (tmp_path / "out").exists()


def test_its_options_are_its_own() -> None:
    result = CliRunner().invoke(app, ["report", "--help"])
    assert result.exit_code == 0
    assert "--published" in result.output
