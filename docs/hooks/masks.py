"""The pages of the missing settings and the imputers, with a picture of what each setting hides."""

from pathlib import Path

import numpy as np
import yaml
from methods import choice_file, escaped, prose, settings_tables, variants_of

from recmm.data.dataset import MultimodalDataset
from recmm.data.synthetic import synthetic
from recmm.experiment.config.generate import components_of_groups
from recmm.missing.base import MissingSetting
from recmm.missing.masks import Phase
from recmm.missing.settings import Full
from recmm.settings import settings_of

ROOT = Path(__file__).resolve().parents[2]
N_ITEMS, CELL, LEFT = 48, 11, 130
SHARED = ("seed", "tied")  # settings of every missing setting
ORDER = ("full", "natural", "rate", "popularity", "dgmrec", "modality", "ftmt")


def pages() -> dict[str, str]:
    return {"settings/missing.md": missing_page(), "settings/imputers.md": imputers_page()}


def missing_page() -> str:
    dataset = synthetic(n_users=120, n_items=N_ITEMS, seed=0)
    kinds = components_of_groups()["missing"]
    names = sorted(kinds, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    parts = [
        "# Missing settings",
        "What each choice of `missing=` hides, with its settings; [the guide](../guides/missing.md) compares them in "
        f"one table. The pictures show {N_ITEMS} items of the embedded catalogue under the shipped values, one column "
        "an item, as training and as test see them: filled entries are visible, grey ones hidden by the setting, "
        "orange ones replaced by something else, empty ones absent from the data itself.",
    ]
    for name in names:
        parts += [f"## `{name}`", prose(kinds[name].__doc__ or ""), picture(kinds[name](), dataset)]
        parts += settings_tables(kinds[name](), "missing", without=SHARED)
        for variant in variants_of(name, "missing"):
            file = ROOT / "conf" / "missing" / f"{variant}.yaml"
            parts += [f"### `{variant}`", *choice_file(file), picture(kinds[name](**_values(variant)), dataset)]
    every = [name for name in MissingSetting.model_fields if name not in SHARED]
    parts += ["## Settings of all", *settings_tables(Full(), "missing", without=every)]
    return "\n\n".join(part for part in parts if part) + "\n"


def imputers_page() -> str:
    parts = [
        "# Imputers",
        "What stands in place of a missing entry. Every imputer is fitted on what training sees and works with every "
        "method; [the study](../experiments/imputers/index.md) compares them.",
        "## `paper`",
        *choice_file(ROOT / "conf" / "imputer" / "paper.yaml")[:1],
    ]
    for name, kind in sorted(components_of_groups()["imputer"].items()):
        settings = settings_of(kind)
        parts += [f"## `{name}`", prose(kind.__doc__ or "")]
        parts += settings_tables(settings(), "imputer") if settings else []
    return "\n\n".join(part for part in parts if part) + "\n"


def picture(setting: MissingSetting, dataset: MultimodalDataset) -> str:
    """An SVG of the entries of every item, as training and as test see them."""
    masks, observed, rows, top = setting.draw(dataset), dataset.features.observed, [], 0
    phases: tuple[Phase, ...] = ("train", "test")
    for phase in phases:
        visible = masks.phase(phase)
        for column, modality in enumerate(dataset.modalities):
            rows.append(f'<text x="0" y="{top + 9}">{phase} · {modality}</text>')
            for item in range(dataset.n_items):
                shown = "replaced" if phase in masks.replaced else "visible"
                state = shown if visible[item, column] else "hidden" if observed[item, column] else "lacking"
                rows.append(f'<rect class="{state}" x="{LEFT + CELL * item}" y="{top}" width="9" height="9"/>')
            top += CELL
        top += CELL // 2
    shares = ", ".join(f"{phase} {np.mean(~masks.phase(phase)[observed]):.0%}" for phase in phases)
    size = f'viewBox="0 0 {LEFT + CELL * dataset.n_items} {top}"'
    label = f'role="img" aria-label="{escaped(f"Hidden: {shares}")}"'
    return f'<svg class="masks" {size} {label}>{"".join(rows)}</svg>\n\nHidden of what the data has: {shares}.'


def _values(variant: str) -> dict[str, object]:
    """The keys of a file of conf/missing and of those that it starts from."""
    content = yaml.safe_load((ROOT / "conf" / "missing" / f"{variant}.yaml").read_text("utf-8"))
    bases = [name for name in content.pop("defaults", []) if name != "_self_"]
    values = {key: value for name in bases for key, value in _values(name).items()}
    return {key: value for key, value in (values | content).items() if key != "_target_"}
