"""What was loaded, for the head of the page."""

from collections.abc import Iterable
from datetime import date

from recmm import __version__
from recmm.report.records.runs import Runs
from recmm.report.results.results import Results

_MOST = 12  # values of one entry


def about(runs: Runs, results: Results) -> list[tuple[str, str]]:
    """Pairs of name and value: runs, data, masks, settings, dates and versions; without those that are empty."""
    frame, records = results.frame, runs.records.values()
    started = sorted(str(record["started"])[:10] for record in records if record.get("started"))
    versions: dict[str, set[str]] = {}
    for record in records:
        for name, number in record.get("versions", {}).items():
            versions.setdefault(name, set()).add(str(number))
    commits = {
        f"{record['git']['commit'][:8]}{' (changed)' if record['git'].get('dirty') else ''}"
        for record in records
        if record.get("git", {}).get("commit")
    }
    unfinished = ", ".join(f"{number} {status}" for status, number in runs.unfinished.items())
    entries = [
        ("Runs", f"{len(frame)} finished" + (f"; left out: {unfinished}" if unfinished else "")),
        ("Sweeps", _list(frame["sweep"])),
        ("Data", _list(f"{name}, digest {digest[:12]}" for name, digest in frame["catalogue", "data_digest"].rows())),
        ("Masks", _list(digest[:12] for digest in frame.filter("uses_modalities")["masks_digest"])),
        ("Settings", _list(source or "not noted" for source in frame["settings_source"])),
        ("Started", f"{started[0]} to {started[-1]}" if started else ""),
        ("Versions", ", ".join(f"{name} {' / '.join(sorted(numbers))}" for name, numbers in versions.items())),
        ("Commits", _list(commits)),
        ("Report", f"recmm {__version__}, {date.today().isoformat()}"),
    ]
    return [(name, value) for name, value in entries if value]


def _list(values: Iterable[str]) -> str:
    """The different values, sorted; of more than `_MOST` the first ones and the number of the others."""
    different = sorted(set(values))
    more = len(different) - _MOST
    return "; ".join(different[:_MOST]) + (f"; and {more} more" if more > 0 else "")
