"""Modalities that an item loses together, such as two encodings of the same sound.

A setting draws over a dataset in which each group of them is one modality, named like the first of the group. What
it hides there is then hidden in every modality of the group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from recmm.data.dataset import ItemFeatures, MultimodalDataset
from recmm.errors import MissingSettingError
from recmm.missing.masks import Phase, PhaseDraw

Groups = Sequence[Sequence[str]]


def with_ties(dataset: MultimodalDataset, groups: Groups) -> MultimodalDataset:
    """The dataset with one modality for each group, which an item has if it has one of the group's.

    Only ``observed`` means something there; the values are those of the group's first modality.

    Raises:
        MissingSettingError: a modality that the dataset lacks, or that is named twice.
    """
    names = [name for group in groups for name in group]
    if wrong := [name for name in names if name not in dataset.modalities or names.count(name) > 1]:
        problem = "twice" if wrong[0] in dataset.modalities else f"which {dataset.name} does not have"
        raise MissingSettingError(
            f"missing.tied names {wrong[0]}, {problem}; expected groups of "
            f"{', '.join(dataset.modalities) or 'no modality at all'}, each of them in one group at most."
        )
    observed = dict(zip(dataset.modalities, dataset.features.observed.T, strict=True))
    for first, *others in groups:
        observed[first] = np.logical_or.reduce([observed[first], *(observed.pop(name) for name in others)])
    values = {modality: dataset.features.values[modality] for modality in observed}
    return replace(dataset, features=ItemFeatures(values, np.column_stack(list(observed.values()))))


def untied(draws: Mapping[Phase, PhaseDraw], dataset: MultimodalDataset, groups: Groups) -> dict[Phase, PhaseDraw]:
    """What the ``draws`` over ``with_ties(dataset, groups)`` hide of the dataset itself."""
    first = {name: group[0] for group in groups for name in group}
    drawn_as = {name: first.get(name, name) for name in dataset.modalities}  # modality -> the one that was drawn for it
    kept = [name for name, other in drawn_as.items() if name == other]
    columns = [kept.index(other) for other in drawn_as.values()]

    def spread(entries: np.ndarray) -> np.ndarray:
        return entries[:, columns] & dataset.features.observed

    found: dict[Phase, PhaseDraw] = {}
    for phase, draw in draws.items():
        asked = {name: draw.requested[other] for name, other in drawn_as.items() if other in draw.requested}
        found[phase] = PhaseDraw(
            spread(draw.drawn),
            draw.eligible,
            {name: share for name, share in draw.requested.items() if name not in kept} | asked,
            None if draw.carried is None else spread(draw.carried),
        )
    return found
