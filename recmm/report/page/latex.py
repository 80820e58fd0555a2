"""A table of the report as LaTeX (booktabs), with the numbers and marks of the page."""

from recmm.report.comparison.tables import Row, Table
from recmm.report.results.cells import Cell

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "†": r"$\dagger$",
    "▽": r"$\nabla$",
    "◇": r"$\diamond$",
    "\n": " ",
    "\r": " ",
}
_TABLE = r"""% Needs \usepackage[T1]{{fontenc}} and \usepackage{{booktabs}}.
\begin{{table}}
\centering
\caption{{{title}. {note}}}
\begin{{tabular}}{{{columns}}}
\toprule
{head} \\
\midrule
{body}
\bottomrule
\end{{tabular}}
\end{{table}}
"""


def escape(text: str) -> str:
    """``text`` with every special character of LaTeX escaped."""
    return "".join(_SPECIAL.get(character, character) for character in text)


def to_latex(table: Table) -> str:
    """A ``table`` environment: best in bold, second best underlined, published numbers in brackets."""
    columns = "l" * len(table.labels) + "r" * len(table.columns)
    head = " & ".join(escape(name) for name in (*table.labels, *table.columns))
    body = "\n".join(_row(row) for row in table.rows)
    return _TABLE.format(title=escape(table.title), note=escape(table.note), columns=columns, head=head, body=body)


def _row(row: Row) -> str:
    return " & ".join([*(escape(label) for label in row.labels), *(_cell(cell) for cell in row.cells)]) + r" \\"


def _cell(cell: Cell) -> str:
    if cell.value is None:
        return "--"
    text = escape(cell.shown)
    text = {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}"}.get(cell.mark, text)
    text += "$^{*}$" if cell.star else ""
    text += r"$^{\nabla}$" if cell.below_popularity else ""
    text += r"$^{\diamond}$" if cell.below_feature_free else ""
    text += rf" {{\scriptsize$\pm${cell.shown_sd}}}" if cell.shown_sd else ""
    return text + (f" [{cell.published}]" if cell.published else "")
