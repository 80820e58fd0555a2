"""The datasets of the papers: where their files come from, and the published sizes that they must have."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from recmm.data import sources
from recmm.data.dataset import MultimodalDataset, Split
from recmm.data.protocols import SplitProtocol
from recmm.data.sources import Origin
from recmm.datamodules.base import MultimodalDataModule
from recmm.datamodules.folders import read_files
from recmm.errors import ConfigError, StatisticsError

_DIFFMM = "DiffMM's released files: at most one validation and one test pair per user, by a rule that is not published"
_UNKNOWN = "the released files; the rule of the split is not known"
_MMREC = (
    "MMRec's released files: per user at random; of fewer than 10 pairs one for validation and one for test, else 20 % "
    "held out and half of that, rounded down, for validation"
)
_LATTICE = (
    "LATTICE's released files, in LATTICE's ids; on Baby and Sports another draw than MMRec's, with the sizes of "
    "validation and test exchanged"
)


class KnownDataset(MultimodalDataModule):
    """A dataset of the papers; subclasses name it and say where each of its splits comes from.

    Args:
        folder: where the files lie, and where downloads are put.
        split: which of the circulating splits the files hold; it enters the data digest and every table.
        interactions: file name of a table in MMRec's layout, or "train", "val", "test" -> that of a pickled matrix.
        features: modality -> file name; only the chosen modalities are read.
        expected: published numbers to assert, see ``check_statistics``; None asserts nothing.
        labels: file names of the mappings from raw users and from raw items; None if the dense ids are all there is.
        download: whether absent files with a pinned public source are downloaded.
    Raises:
        ConfigError: a split that the dataset does not have.
    """

    dataset_name: ClassVar[str]
    origins: ClassVar[Mapping[str, Origin]]
    recipes: ClassVar[Mapping[str, str]] = {"released": _UNKNOWN, "mmrec": _MMREC, "lattice": _LATTICE}

    def __init__(
        self,
        *,
        folder: str,
        split: str,
        interactions: str | Mapping[str, str],
        features: Mapping[str, str],
        expected: Mapping[str, int] | None = None,
        labels: Sequence[str] | None = None,
        download: bool = True,
        modalities: Sequence[str] | None = None,
        protocol: SplitProtocol | None = None,
    ) -> None:
        super().__init__(modalities=modalities, protocol=protocol)
        if split not in self.origins:
            raise ConfigError(
                f"dataset.split={split} is unknown to {self.dataset_name}; it has {', '.join(self.origins)}."
            )
        self.folder = folder
        self.split = split
        self.interactions = interactions
        self.features = features
        self.expected = expected
        self.labels = labels
        self.download = download

    def load(self) -> MultimodalDataset:
        dataset = read_files(
            Path(self.folder).expanduser(),
            name=self.dataset_name,
            split=Split(self.split, self.recipes[self.split]),
            interactions=self.interactions,
            features=self.features,
            labels=self.labels,
            modalities=self.modalities,
            origin=self.origins[self.split],
            download=self.download,
        )
        if self.expected is not None:
            check_statistics(dataset, self.expected)
        return dataset


class TikTok(KnownDataset):
    """Short videos with visual, textual and acoustic features, as DiffMM released them."""

    dataset_name = "tiktok"
    origins: ClassVar = {"released": sources.TIKTOK}
    recipes: ClassVar = {"released": _DIFFMM}


class AmazonBaby(KnownDataset):
    """Amazon 2014 5-core, category Baby."""

    dataset_name = "amazon_baby"
    origins: ClassVar = {"mmrec": sources.BABY, "lattice": sources.BABY_LATTICE}


class AmazonSports(KnownDataset):
    """Amazon 2014 5-core, category Sports and Outdoors."""

    dataset_name = "amazon_sports"
    origins: ClassVar = {"mmrec": sources.SPORTS, "lattice": sources.SPORTS_LATTICE}


class AmazonClothing(KnownDataset):
    """Amazon 2014 5-core, category Clothing, Shoes and Jewelry."""

    dataset_name = "amazon_clothing"
    origins: ClassVar = {"lattice": sources.CLOTHING}


class Allrecipes(KnownDataset):
    """Recipes with images and 20 sampled ingredients, as CI2MG uses them."""

    dataset_name = "allrecipes"
    origins: ClassVar = {"released": sources.ALLRECIPES}


def check_statistics(dataset: MultimodalDataset, expected: Mapping[str, int]) -> None:
    """Compare a dataset's sizes with published ones.

    Args:
        expected: any of users, items, train, val, test; or ``interactions``, a number as papers print it, which never
            counts validation: training and test together, or training alone (CI2MG's Table 1 has both kinds).
    Raises:
        StatisticsError: naming both numbers of all that differ.
        ConfigError: a key that is none of these.
    """
    check_sizes(dataset.statistics(), expected, f"{dataset.name} (split {dataset.split.name})")


def check_sizes(found: Mapping[str, int], expected: Mapping[str, int], dataset: str) -> None:
    """``check_statistics`` of the numbers ``found`` of users, items, train, val and test; ``dataset`` names them."""
    problems = []
    for key, number in expected.items():
        if key == "interactions":
            readings = {"train and test": found["train"] + found["test"], "train alone": found["train"]}
            if number not in readings.values():
                counted = " and ".join(f"{count:,} in {what}" for what, count in readings.items())
                problems.append(f"interactions without validation: {number:,} published, {counted} found")
        elif key not in found:
            raise ConfigError(f"dataset.expected.{key} is no statistic; there are {', '.join(found)} and interactions.")
        elif found[key] != number:
            problems.append(f"{key}: {number:,} published, {found[key]:,} found")
    if problems:
        raise StatisticsError(
            f"{dataset} is not the published dataset: {'; '.join(problems)}. Take "
            "the files of this split, or set dataset.expected=null if they are meant to differ."
        )
