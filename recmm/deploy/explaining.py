"""`python -m recmm explain`: the score of one pair with each modality of the item present and hidden."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from recmm.data.files.atomic import atomic_file, writing
from recmm.deploy.again import Trained, load_trained
from recmm.deploy.lists import known
from recmm.errors import ConfigError, DataError
from recmm.missing.view import ModalityView
from recmm.missing.views import build_views
from recmm.terminal import printable


def explain(run: Path, user: str, item: str) -> pl.DataFrame:
    """Rank the pair again with the trained weights, under masks that differ in one entry of the item.

    All other entries are as the run's test saw them. Ranks are among the items that the user has not trained on.

    Returns:
        One row per modality of the item: modality, test ("visible", "hidden" or "absent from the data"), score_present,
        score_hidden, difference, rank_present, rank_hidden; those with the modality present are null where the data
        lacks it.

    Raises:
        ConfigError: the method looks at no modality.
        DataError: the user or the item is not in the catalogue.
        RecmmError: see ``load_trained``.
    """
    trained = load_trained(run)
    if not trained.model.uses_modalities:
        raise ConfigError(f"{trained.choices['model']} looks at no modality: nothing of its score changes without one.")
    catalog = trained.datamodule.catalog
    users, items = known([user], catalog.user_ids), known([item], catalog.item_ids)
    for found, what in ((users, "user"), (items, "item")):
        if found.unknown:
            raise DataError(f"{found.unknown[0]} is no {what} of the catalogue, whose {what}s look like "
                            f"{', '.join(getattr(catalog, f'{what}_ids')[:3])}.")  # fmt: skip
    u, i = int(users.ids[0]), int(items.ids[0])
    dataset, test = trained.datamodule.dataset, trained.datamodule.masks.test
    rows: list[tuple[Any, ...]] = []
    for column, modality in enumerate(dataset.modalities):
        observed = bool(dataset.features.observed[i, column])
        present = _scored(trained, _view(trained, i, column, visible=True), u, i) if observed else (None, None)
        hidden = _scored(trained, _view(trained, i, column, visible=False), u, i)
        said = "absent from the data" if not observed else "visible" if test[i, column] else "hidden"
        difference = None if present[0] is None or hidden[0] is None else present[0] - hidden[0]
        rows.append((modality, said, present[0], hidden[0], difference, present[1], hidden[1]))
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


_SCHEMA: dict[str, Any] = {
    "modality": pl.String,
    "test": pl.String,
    "score_present": pl.Float64,
    "score_hidden": pl.Float64,
    "difference": pl.Float64,
    "rank_present": pl.Int64,
    "rank_hidden": pl.Int64,
}


def _view(trained: Trained, item: int, column: int, *, visible: bool) -> ModalityView:
    masks, datamodule = trained.datamodule.masks, trained.datamodule
    test = np.array(masks.test)
    test[item, column] = visible
    return build_views(datamodule.dataset, replace(masks, test=test), datamodule.imputer)["test"]


def _scored(trained: Trained, view: ModalityView, user: int, item: int) -> tuple[float | None, int | None]:
    """The score of the pair, and its rank among the items that the user has not trained on."""
    catalog = trained.datamodule.catalog
    with torch.no_grad():
        scores = trained.model.score(torch.tensor([user]), view)[0]
    score = float(scores[item])
    scores[catalog.train_items[catalog.train_users == user]] = -torch.inf
    scores[item] = score
    return score, int((scores > score).sum()) + 1


def show_explanation(run: Path, user: str, item: str, figure: Path | None) -> None:
    """Print the table of ``explain``, and draw its scores where a file is named."""
    table = explain(run, user, item)
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, tbl_width_chars=120):
        print(printable(f"{user} and {item}: the score with each modality of the item present and hidden\n{table}"))
    if figure is not None:
        with writing(figure), atomic_file(figure) as path:
            _draw(table, f"Score of {item} for {user}", path)
        print(f"figure: {figure}")


def _draw(table: pl.DataFrame, title: str, path: Path) -> None:
    from matplotlib.figure import Figure  # only here: most calls need no figure

    figure = Figure(figsize=(1.5 + 1.2 * len(table), 3), layout="constrained")
    axes, places = figure.add_subplot(), np.arange(len(table))
    for shift, state in ((-0.2, "present"), (0.2, "hidden")):
        axes.bar(places + shift, table[f"score_{state}"].fill_null(float("nan")).to_numpy(), 0.38, label=state)
    axes.set_xticks(places, table["modality"].to_list())
    axes.set(title=printable(title).replace("$", r"\$"), ylabel="score")
    axes.axhline(0, color="0.4", linewidth=0.8)
    axes.legend()
    figure.savefig(path, dpi=150)
