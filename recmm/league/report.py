"""`league report`: the Markdown of a league and its diagram; with the runs at hand, paired tests and a page of them."""

import os
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from recmm.data.files.atomic import replace_atomically
from recmm.errors import RunError
from recmm.experiment.verification import read_result
from recmm.league.entries import Entries, Entry
from recmm.league.markdown import COLUMNS, write_markdown
from recmm.league.ranks import draw_ranks, rank
from recmm.league.standing import Standing

_METRIC = "recall@20"


def write_league(standing: Standing, markdown: Path, place: Path, page: Path | None) -> list[Path]:
    """Write the league's table; returns the files.

    Args:
        standing: of the whole league.
        markdown: the file of the tables.
        place: the league's folder, for the diagram of ranks.
        page: the folder of the page, made of the winners' runs that are in their folders; None: no page.

    Raises:
        RunError: no method has all its trials.
    """
    entries = Entries(standing)
    if not entries.entries:
        raise RunError("No method of this league has all its trials yet: `python -m recmm league run` makes them.")
    ranks = rank(*entries.complete_blocks(COLUMNS[0]))
    written = [markdown]
    if len(ranks.methods) > 1:
        written += draw_ranks(ranks, place)
    tests, notes = paired_tests(entries)
    link = Path(os.path.relpath(place, markdown.parent)).as_posix()
    replace_atomically(markdown, write_markdown(entries, ranks, tests, notes, link))
    if page is not None and (folders := [folder for entry in entries.entries for folder in _folders(entry)[0]]):
        from recmm.report.command import write_report  # Matplotlib and Plotly

        written.append(write_report(list(dict.fromkeys(folders)), page))
    return written


def paired_tests(entries: Entries) -> tuple[pl.DataFrame | None, list[str]]:
    """The best method of each dataset and setting against each other one, over users.

    Returns:
        The columns of ``recmm.report.comparison.compare`` and setting, for the blocks whose runs are all in their
        folders; None without such a block. And a sentence about what is left out.
    """
    from recmm.report.comparison.compare import compare
    from recmm.report.records.runs import load_runs

    found, left_out = [], []
    for dataset, setting in dict.fromkeys((entry.dataset, entry.setting) for entry in entries.entries):
        block = entries.of(dataset, setting)
        folders, lacking = _all_folders(block)
        if lacking:
            left_out.append(f"{dataset} {setting} ({lacking} runs are not in their folders)")
        elif len(block) > 1:
            frame = load_runs(folders).frame.with_columns(variant=pl.col("model"))
            if frame["uses_modalities"].any():  # its condition is that of the methods that use modalities
                frame = frame.with_columns(
                    condition=pl.when("uses_modalities").then(pl.lit(setting)).otherwise("condition")
                )
            found.append(compare(frame, _METRIC).with_columns(dataset=pl.lit(dataset), setting=pl.lit(setting)))
    notes = []
    if left_out:
        notes = [
            "Paired tests over users need the records of the runs, which are not in the repository. They are left out "
            f"for {'; '.join(left_out)}."
        ]
    return (pl.concat(found) if found else None), notes


def _all_folders(block: Sequence[Entry]) -> tuple[list[Path], int]:
    """The folders of the runs of a block, and the number of those that are not here."""
    parts = [_folders(entry) for entry in block]
    return [folder for folders, _ in parts for folder in folders], sum(lacking for _, lacking in parts)


def _folders(entry: Entry) -> tuple[list[Path], int]:
    """The folders that hold the very runs of the entry's rows, and the number of rows without one."""
    here = []
    for job, row in zip(entry.jobs, entry.rows, strict=True):
        try:
            result = read_result(job.folder) or {}
        except RunError:
            continue
        if result.get("status") == "done" and result.get("signature") == row["signature"]:
            here.append(job.folder)
    return here, len(entry.rows) - len(here)
