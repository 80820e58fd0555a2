"""Tables as LaTeX."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from recmm.report.comparison.tables import Row, Table
from recmm.report.page.latex import escape, to_latex
from recmm.report.results.cells import Cell

MADE = Table(
    "name",
    "Recall@20 on a_b",
    "50 % of {all} & more",
    ("method",),
    ("rate 0.1", "rate 0.9"),
    (
        Row(
            ("first_x",),
            (Cell(0.5, 0.125, 2, mark="best", star=True, published="0.48"), Cell(0.25, below_popularity=True)),
        ),
        Row(("third†",), (Cell(0.25, mark="second"), Cell())),
    ),
)


def test_the_rows_with_their_marks() -> None:
    lines = to_latex(MADE).splitlines()
    start = lines.index(r"\midrule")
    assert lines[start - 1] == r"method & rate 0.1 & rate 0.9 \\"
    assert lines[start + 1 : start + 4] == [
        r"first\_x & \textbf{0.5000}$^{*}$ {\scriptsize$\pm$0.1250} [0.48] & 0.2500$^{\nabla}$ \\",
        r"third$\dagger$ & \underline{0.2500} & -- \\",
        r"\bottomrule",
    ]
    assert r"\caption{Recall@20 on a\_b. 50 \% of \{all\} \& more}" in lines
    assert r"\begin{tabular}{lrr}" in lines


def test_what_latex_would_read_as_a_command_is_escaped() -> None:
    assert escape("a_b & 50% #1 {x} ~^") == r"a\_b \& 50\% \#1 \{x\} \textasciitilde{}\textasciicircum{}"
    assert escape("\\input{/x}\n$y$") == r"\textbackslash{}input\{/x\} \$y\$"


def test_braces_and_environments_are_closed() -> None:
    text = re.sub(r"\\[{}]", "", to_latex(MADE))
    assert text.count("{") == text.count("}")
    assert re.findall(r"\\begin\{(\w+)\}", text) == list(reversed(re.findall(r"\\end\{(\w+)\}", text)))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_it_compiles(tmp_path: Path) -> None:
    head = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs}\begin{document}"
    (tmp_path / "x.tex").write_text(f"{head}{to_latex(MADE)}\\end{{document}}", encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "x.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
