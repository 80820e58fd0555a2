"""The league as Markdown: tables from the rows alone, so that anyone can rebuild them."""

import shlex
from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import mean

import polars as pl

from recmm import RESULTS_VERSION
from recmm.league.entries import REFERENCE, Entries, Entry
from recmm.league.ranks import Ranks, rank
from recmm.league.rows import DONE, TRIAL, Row
from recmm.league.standing import OPEN, SELECTION, STALE, Standing
from recmm.report.results.naming import metric_name

COLUMNS = ("test_recall@20", "test_ndcg@20")
_MARKS = (
    "Mean ± standard deviation over the seeds of the trial that is best on validation; the epoch, too, is the best on "
    "validation. ▽: below popularity. ◇: below the best method that uses no modality. ‡: uses no modality, so one set "
    "of runs serves all settings. …: seeds are still to come. *Rank*: mean over the settings, 1 is the best. *Kept*: "
    "share of the method's own number with full modality. *Seconds*: CPU seconds of one run, a mean over all of them."
)


def write_markdown(entries: Entries, ranks: Ranks, tests: pl.DataFrame | None, notes: Sequence[str], place: str) -> str:
    """The text of the file.

    Args:
        entries: of the league.
        ranks: over all blocks.
        tests: of ``paired_tests``; None: left out.
        notes: sentences for the reader, such as why tests are left out.
        place: the league's folder as the file reaches it, with the diagram of ranks and the README.
    """
    standing = entries.standing
    league = standing.jobs.league
    parts = [
        f"# The league `{league.name}`",
        "Written by `python -m recmm league report`; changes by hand are lost. How it is run: "
        f"[README]({place}/README.md).",
        _summary(standing),
        *notes,
        "## Ranks over all datasets and settings",
        _ranks(ranks, place),
    ]
    for dataset in league.datasets:
        if entries.methods(dataset):
            parts += [f"## {dataset}", _MARKS]
            for column in COLUMNS:
                parts += [f"### {_named(column)} on test", _table(entries, dataset, column)]
            if tests is not None and not tests.filter(pl.col("dataset") == dataset).is_empty():
                parts += ["### Tests of Recall@20", _tests(tests.filter(pl.col("dataset") == dataset))]
            parts += ["### The best trials and the commands of their runs", _commands(entries, dataset)]
            parts += ["### Budget", _ledger(standing, dataset)]
    return "\n\n".join(parts) + "\n"


def _summary(standing: Standing) -> str:
    league = standing.jobs.league
    states = Counter(standing.state(job) for cell in standing.cells for _, job in cell.jobs())
    rows = [row for cell in standing.cells for _, job in cell.jobs() if (row := standing.row(job)) is not None]
    hours = sum(row["cpu_seconds"] for row in rows) / 3600
    counts = ", ".join(f"{states[state]} {state}" for state in (DONE, "diverged", STALE, OPEN))
    seeds, masks = (", ".join(map(str, numbers)) for numbers in (league.seeds, league.mask_seeds))
    return (
        f"Every method gets {league.trials} trials under each setting (or more that take no longer than "
        f"{league.cpu_seconds:g} CPU seconds together). The best on validation Recall@20 gets the seeds {seeds}, each "
        f"with the mask seeds {masks}. Runs known by now: {counts}. {len(rows)} of them took {hours:.1f} CPU hours. "
        f"RESULTS_VERSION {RESULTS_VERSION}; rows of another version or of other data are stale and do not count. "
        f"{len(standing.others)} rows belong to none of these jobs."
    )


def _ranks(ranks: Ranks, place: str) -> str:
    if len(ranks.methods) < 2:
        return "There are no two methods yet that have a number in every block."
    lines = _grid(
        ["method", "mean rank"], [[name, f"{r:.1f}"] for name, r in zip(ranks.methods, ranks.ranks, strict=True)]
    )
    told = f"Recall@20 on test, {ranks.n_blocks} blocks (dataset x setting), methods with a number in each of them."
    if ranks.critical_difference is not None:
        told += (
            f" Friedman's test: p = {ranks.p:.2g}. Mean ranks that differ by less than {ranks.critical_difference:.1f} "
            "cannot be told apart (Nemenyi, .05). Settings of one dataset share its users: the blocks are not "
            "independent, so take this as a description."
        )
    figure = f"![Mean ranks and their critical difference]({place}/critical_difference.png)"
    return f"{told}\n\n{figure}\n\n{lines}"


def _table(entries: Entries, dataset: str, column: str) -> str:
    settings = [s for s in entries.standing.jobs.league.settings if entries.of(dataset, s)]
    methods = entries.methods(dataset)
    found = {(m, s): entries.find(m, dataset, s) for m in methods for s in settings}
    places: dict[str, list[float]] = defaultdict(list)
    for setting in settings:
        there = [entry for entry in entries.of(dataset, setting)]
        ranks = rank([entry.model for entry in there], [[entry.mean(column) for entry in there]])
        for name, value in zip(ranks.methods, ranks.ranks, strict=True):
            places[name].append(value)
    others = [s for s in settings if s != REFERENCE and REFERENCE in settings]
    lines = []
    for method in sorted(methods, key=lambda name: (-len(places[name]), mean(places[name]))):
        of_method = [found[method, s] for s in settings]
        free = any(entry is not None and entry.feature_free for entry in of_method)
        kept = [entries.retained(entry, column) if (entry := found[method, s]) else None for s in others]
        seconds = [row["cpu_seconds"] for entry in of_method if entry for row in entry.rows]
        lines.append(
            [
                method + ("‡" if free else ""),
                *(_cell(entries, entry, column) for entry in of_method),
                f"{mean(places[method]):.1f}",
                *("" if share is None else f"{share:.2f}" for share in kept),
                f"{mean(seconds):.0f}",
            ]
        )
    return _grid(["method", *settings, "rank", *(f"kept at {s}" for s in others), "seconds"], lines)


def _cell(entries: Entries, entry: Entry | None, column: str) -> str:
    if entry is None:
        return ""
    sd = entry.sd(column)
    spread = "" if sd is None else f" ± {_number(sd)}"
    marks = entries.marks(entry, column)
    return f"{_number(entry.mean(column))}{spread}{' ' if marks else ''}{marks}"


def _tests(tests: pl.DataFrame) -> str:
    lines = [
        [
            row["setting"],
            row["variant"],
            _number(row["mean"]),
            "best" if row["best"] else _number(row["difference"]),
            ""
            if row["difference_low"] is None
            else f"{_number(row['difference_low'])} to {_number(row['difference_high'])}",
            "" if row["p_holm"] is None else f"{row['p_holm']:.2g}",
        ]
        for row in tests.to_dicts()
    ]
    note = (
        "The best method of each setting against each of the others: permutation test paired over users, whose values "
        "are averaged over seeds; p by Holm's method over the tests of a setting; intervals by bootstrap."
    )
    return f"{note}\n\n{_grid(['setting', 'method', 'mean', 'best minus this', '95 % interval', 'p (Holm)'], lines)}"


def _commands(entries: Entries, dataset: str) -> str:
    standing, lines, seen = entries.standing, [], set()
    for entry in sorted(entries.entries, key=lambda entry: entry.model):
        if entry.dataset != dataset or entry.cell.name in seen:
            continue
        seen.add(entry.cell.name)
        winner = entry.cell.winner
        if winner is None:
            continue
        seeds = ",".join(str(job.seed) for job in entry.jobs if job.mask_seed == winner.mask_seed)
        arguments = [f"seed={seeds}" if part == f"seed={winner.seed}" else part for part in winner.arguments]
        command = "python train.py -m " + shlex.join([*standing.jobs.shared, *arguments])
        scores = [row[SELECTION] for job in entry.cell.trials if (row := standing.row(job)) and row["status"] == DONE]
        tried = f"{_number(min(scores))} to {_number(max(scores))}"
        lines.append([entry.model, winner.setting, _number(max(scores)), tried, f"`{command}`"])
    note = (
        "Validation Recall@20 of the best trial, and the range over the trials. A command runs the seeds that are "
        "done; each run is a row of `experiments/league/results/`."
    )
    return f"{note}\n\n{_grid(['method', 'setting', 'val R@20', 'trials', 'command'], lines)}"


def _ledger(standing: Standing, dataset: str) -> str:
    lines, total = [], 0.0
    by_model: defaultdict[str, list[tuple[str, Row | None]]] = defaultdict(list)
    for cell in standing.cells:
        if cell.name[1] == dataset:
            by_model[cell.name[0]] += [(kind, standing.row(job)) for kind, job in cell.jobs()]
    for model, found in by_model.items():
        rows = [(kind, row) for kind, row in found if row is not None]
        if not rows:
            continue
        seconds = sum(row["cpu_seconds"] for _, row in rows)
        memory = [row["memory_mb"] for _, row in rows if row["memory_mb"]]
        total += seconds
        kinds, states = Counter(kind for kind, _ in rows), Counter(row["status"] for _, row in rows)
        lines.append(
            [
                *(model, str(kinds[TRIAL]), str(len(rows) - kinds[TRIAL]), str(states["diverged"] or "")),
                *(str(sum(row["epochs"] or 0 for _, row in rows)), f"{seconds:.0f}"),
                f"{max(memory):.0f}" if memory else "",
            ]
        )
    heads = ["method", "trials", "other seeds", "diverged", "epochs", "CPU seconds", "peak memory, MB"]
    return f"{_grid(heads, lines)}\n\n{total / 3600:.1f} CPU hours in all."


def _grid(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)


def _number(value: float) -> str:
    """``.1059``, ``-.0012``."""
    return f"{value:.4f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.4f}"


def _named(column: str) -> str:
    return metric_name(column.removeprefix("test_"))
