"""The statistics of a catalogue as tables, for the terminal and for the page."""

from dataclasses import dataclass

from recmm.ingest.describe.statistics import QUANTILES, Description, Modality, quantiles


@dataclass(frozen=True)
class TextTable:
    """A table of formatted cells: the first column names the row, the others are right-aligned.

    Attributes:
        note: explanation below the table.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def tables(description: Description) -> list[TextTable]:
    """All tables that have rows for this catalogue."""
    found = [_sizes(description), _degrees(description), _features(description), _norms(description)]
    return [table for table in [*found, _patterns(description)] if table.rows]


def pattern_name(modalities: tuple[str, ...], n_all: int) -> str:
    """The name of a subset of the ``n_all`` modalities."""
    if len(modalities) == n_all:
        return "all modalities" if n_all > 1 else modalities[0]
    return " + ".join(modalities) or "no modality"


def _sizes(description: Description) -> TextTable:
    numbers = description.statistics
    dims = tuple(f"{one.name} ({one.dim})" for one in description.modalities)
    row = (
        description.name,
        *(f"{numbers[key]:,}" for key in ("users", "items")),
        f"{description.interactions:,}",
        *(f"{numbers[key]:,}" for key in ("train", "val", "test")),
        f"{description.sparsity:.3f} %",
        ", ".join(dims) or "none",
    )
    notes = description.notes
    return TextTable(
        "Catalogue",
        ("Dataset", "Users", "Items", "Interactions", "Train", "Validation", "Test", "Sparsity", "Modalities (width)"),
        (row,),
        f"Split {description.split}: {description.recipe}. {notes['cold_items']:,} items and "
        f"{notes['users_without_history']:,} users have no training interactions.",
    )


def _degrees(description: Description) -> TextTable:
    rows = []
    for side, given in description.degrees.items():
        for over, counts in given.items():
            found = quantiles(counts)
            rows.append(
                (f"{side[:-1]}, {over}", f"{found.pop('mean'):.2f}", *(f"{value:,.0f}" for value in found.values()))
            )
    note = "Number of interactions of one user or one item."
    return TextTable(
        "Interactions per user and per item", ("Interactions of each", "mean", *QUANTILES), tuple(rows), note
    )


def _features(description: Description) -> TextTable:
    n_items = description.statistics["items"]
    rows = tuple(
        (
            one.name,
            f"{one.dim:,}",
            one.dtype,
            _share(n_items - one.n_observed, n_items),
            _share(one.zero, one.n_observed),
            _share(one.duplicate, one.n_observed),
            f"{one.constant_columns:,}",
            _alignment(one),
        )
        for one in description.modalities
    )
    columns = ("Modality", "Width", "Type", "Missing", "Zero rows", "Repeated rows", "Constant columns", "Alignment")
    note = (
        "Alignment: how often (AUC ± standard error) a user's test item is closer to the user's mean training feature "
        "than an item without an interaction of the user (cosine of centred features). At 0.5, which is chance, the "
        "rows may belong to other items."
    )
    if any(one.alignment and one.alignment.sampled for one in description.modalities):
        note += " Measured on a fixed random sample of the users and of the other items."
    return TextTable("Features", columns, rows, note)


def _norms(description: Description) -> TextTable:
    rows = []
    for one in description.modalities:
        if found := quantiles(one.norms):
            rows.append((one.name, *(f"{value:.4g}" for value in found.values())))
    note = (
        "Euclidean norms of the observed rows. Without scaling, a modality with much larger norms dominates the others."
    )
    return TextTable("Feature norms", ("Modality", "mean", *QUANTILES), tuple(rows), note)


def _patterns(description: Description) -> TextTable:
    n_items, n_all = description.statistics["items"], len(description.modalities)
    rows = tuple((pattern_name(names, n_all), _share(n, n_items)) for names, n in description.patterns.items())
    return TextTable(
        "Modalities per item", ("Modalities", "Items"), rows, "Each item counts once, with all modalities it has."
    )


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({100 * part / whole:.1f} %)" if part and whole else str(part)


def _alignment(modality: Modality) -> str:
    found = modality.alignment
    if found is None:
        return "not measurable"
    return f"{found.auc:.3f}" + ("" if found.error is None else f" ± {found.error:.3f}")
