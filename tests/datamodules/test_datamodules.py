"""Every dataset choice, composed from its YAML: published numbers, splits, file-name overrides and error messages."""

from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from recmm.data.formats import write_canonical
from recmm.data.protocols import GlobalTemporal, ItemColdStart, RandomPerUser, SplitProtocol, TemporalLeaveOneOut
from recmm.data.synthetic import synthetic
from recmm.datamodules import MMRecFolder, MultimodalDataModule, TikTok
from recmm.datamodules.known import Allrecipes, check_statistics
from recmm.errors import ConfigError, DataError, MissingFileError, StatisticsError

CONF = Path(__file__).parents[2] / "conf"
LATTICE_MATRICES = [
    "dataset.interactions.train=LATTICE_order_trnMat.pkl",
    "dataset.interactions.val=LATTICE_order_valMat.pkl",
    "dataset.interactions.test=LATTICE_order_tstMat.pkl",
]
REAL = {  # choice: overrides for the files at hand; users, items, train, val, test as released; the split's name
    "tiktok_va": ([], (9308, 6710, 59541, 3051, 6130), "released"),
    "baby": (
        ["dataset.interactions=baby_MMRec_order_reconstructed.inter"],
        (19445, 7050, 118551, 20559, 21682),
        "mmrec",
    ),
    "baby_lattice": (LATTICE_MATRICES, (19445, 7050, 118551, 21682, 20559), "lattice"),
    "sports": (
        ["dataset.interactions=sports_MMRec_order_reconstructed.inter"],
        (35598, 18357, 218409, 37899, 40029),
        "mmrec",
    ),
    "sports_lattice": (
        ["dataset.interactions=sports_LATTICE_order.inter"],
        (35598, 18357, 218409, 40029, 37899),
        "lattice",
    ),
    "clothing": (
        ["dataset.interactions=clothing_LATTICE_order.inter"],
        (39387, 23033, 197338, 41189, 40150),
        "lattice",
    ),
}


def datamodule(choice: str, data: Path, *overrides: str) -> MultimodalDataModule:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(overrides=[f"+dataset={choice}", f"+paths.data={data}", *overrides])
    return instantiate(config.dataset)


@pytest.mark.parametrize("choice", sorted(path.stem for path in (CONF / "dataset").glob("*.yaml")))
def test_every_choice_constructs_without_reading(choice: str, tmp_path: Path) -> None:
    assert isinstance(datamodule(choice, tmp_path), MultimodalDataModule)


@pytest.mark.parametrize("choice", sorted(path.stem for path in (CONF / "dataset").glob("*.yaml")))
def test_every_choice_can_have_new_items(choice: str, tmp_path: Path) -> None:
    module = datamodule(choice, tmp_path, "+split=item_cold_start", "dataset.protocol.share=0.1")
    assert module.protocol == ItemColdStart(share=0.1, seed=0)


@pytest.mark.parametrize(
    ("choice", "protocol"),
    [
        ("random_per_user", RandomPerUser(seed=0)),
        ("temporal_leave_one_out", TemporalLeaveOneOut()),
        ("global_temporal", GlobalTemporal(val_share=0.1, test_share=0.1, val_from=None, test_from=None)),
    ],
)
def test_the_other_protocols(choice: str, protocol: SplitProtocol, tmp_path: Path) -> None:
    small = ("dataset.n_users=60", "dataset.n_items=40", "dataset.timestamps=true")
    module = datamodule("synthetic", tmp_path, f"+split={choice}", *small)
    assert module.protocol == protocol
    assert module.dataset.digest == protocol.apply(synthetic(n_users=60, n_items=40, timestamps=True)).digest


def test_protocols_by_time_say_that_tiktok_has_no_times(real_data: Path) -> None:
    module = datamodule("tiktok_va", real_data, "+split=global_temporal", "dataset.modalities=[]")
    with pytest.raises(DataError, match=r"tiktok has no timestamps in train, val, test, .*split=random_per_user"):
        _ = module.dataset


def test_new_items_of_tiktok(real_data: Path) -> None:
    module = datamodule("tiktok_va", real_data, "+split=item_cold_start")
    dataset = module.dataset
    assert dataset.notes["cold_items"] == 1342 and dataset.split.name == "released-cold0.2-s0"  # of 6,710
    numbers = dataset.statistics()
    assert sum(numbers[part] for part in ("train", "val", "test")) == 59541 + 3051 + 6130
    assert numbers["train"] < 59541 == dataset.notes["given_training_pairs"]


@pytest.mark.parametrize("choice", REAL)
def test_published_statistics_of_the_real_files(choice: str, real_data: Path) -> None:
    overrides, numbers, split = REAL[choice]
    without_features = [] if choice == "tiktok_va" else ["dataset.modalities=[]"]
    module = datamodule(choice, real_data, *overrides, *without_features)
    assert module.expected is not None, "the YAML asserts the published numbers"  # type: ignore[attr-defined]
    dataset = module.load()
    assert tuple(dataset.statistics().values()) == numbers
    assert dataset.split.name == split
    assert dataset.modalities == (() if without_features else ("visual", "acoustic"))


def test_tiktok_va_features(real_data: Path) -> None:
    dataset = datamodule("tiktok_va", real_data).load()
    assert dataset.features.dims == {"visual": 128, "acoustic": 128}
    assert {values.dtype.name for values in dataset.features.values.values()} == {"float16"}
    assert dataset.notes["cold_items"] == 465
    assert "at most one validation and one test pair per user" in dataset.split.recipe
    assert (dataset.val.user_counts().max(), dataset.test.user_counts().max()) == (1, 1)
    swapped = datamodule("tiktok_va", real_data, "dataset.modalities=[acoustic]").load()
    assert np.array_equal(swapped.features.values["acoustic"], dataset.features.values["acoustic"])


def test_raw_ids_of_baby(real_data: Path) -> None:
    files = ["dataset.interactions=baby_MMRec_order_reconstructed.inter", "dataset.modalities=[]"]
    labelled = datamodule("baby", real_data, *files, "dataset.labels=[u_id_mapping.csv,i_id_mapping.csv]").load()
    plain = datamodule("baby", real_data, *files).load()
    assert plain.item_ids[1] == "1" != labelled.item_ids[1]
    assert plain.digest != labelled.digest
    assert np.array_equal(plain.train.items, labelled.train.items)


def test_the_other_split_is_noticed(real_data: Path) -> None:
    wrong = datamodule("baby", real_data, "dataset.modalities=[]", "dataset.split=mmrec")
    wrong.interactions = dict(part.removeprefix("dataset.interactions.").split("=") for part in LATTICE_MATRICES)  # type: ignore[attr-defined]
    with pytest.raises(StatisticsError, match=r"split mmrec.*val: 20,559 published, 21,682 found; test: 21,682"):
        wrong.load()
    wrong.expected = None  # type: ignore[attr-defined]
    assert wrong.load().statistics()["val"] == 21682


def test_statistics_of_papers_never_count_validation() -> None:
    dataset = synthetic(n_users=60, n_items=40)
    found = dataset.statistics()
    check_statistics(dataset, found)
    check_statistics(dataset, {"interactions": found["train"]})
    check_statistics(dataset, {"interactions": found["train"] + found["test"]})
    with pytest.raises(StatisticsError, match="published"):
        check_statistics(dataset, {"interactions": sum(found[part] for part in ("train", "val", "test"))})
    with pytest.raises(StatisticsError, match="users: 61 published, 60 found"):
        check_statistics(dataset, {"users": 61, "items": 40})
    with pytest.raises(ConfigError, match=r"expected\.user is no statistic"):
        check_statistics(dataset, {"user": 60})


def toy_folder(folder: Path, features: tuple[str, ...] = ("image_feat.npy",)) -> Path:
    folder.mkdir()
    pairs = [(user, item, (user + item) % 3) for user in range(4) for item in range(5)]
    rows = "".join(f"{user}\t{item}\t{label}\n" for user, item, label in pairs)
    (folder / "interactions.inter").write_text("userID\titemID\tx_label\n" + rows)
    for file in features:
        np.save(folder / file, np.ones((5, 2), np.float32))
    return folder


def test_any_folder_of_mmrecs(tmp_path: Path) -> None:
    toy_folder(tmp_path / "mmrec", ("image_feat.npy", "text_feat.npy"))
    dataset = datamodule("mmrec", tmp_path, "dataset.modalities=[textual]", "dataset.split=mine").load()
    assert dataset.statistics() == {"users": 4, "items": 5, "train": 7, "val": 7, "test": 6}
    assert (dataset.name, dataset.split.name, dataset.modalities) == ("mmrec", "mine", ("textual",))


def test_any_canonical_folder(tmp_path: Path) -> None:
    dataset = synthetic(n_users=60, n_items=40)
    write_canonical(dataset, tmp_path / "canonical")
    assert datamodule("canonical", tmp_path).load().digest == dataset.digest
    assert datamodule("canonical", tmp_path, "dataset.modalities=[textual]").load().modalities == ("textual",)


def test_synthetic_takes_its_keywords(tmp_path: Path) -> None:
    module = datamodule(
        "synthetic", tmp_path, "dataset.n_users=80", "dataset.n_items=50", "dataset.modalities=[textual]"
    )
    assert module.load().digest == synthetic(n_users=80, n_items=50, modalities=("textual",)).digest
    module = datamodule("synthetic", tmp_path, "dataset.scale=0.05", "dataset.seed=3", "dataset.natural_missing=0")
    assert module.load().digest == synthetic(scale=0.05, seed=3, natural_missing=0).digest


def test_absent_feature_file_names_the_choice_that_runs(tmp_path: Path) -> None:
    toy_folder(tmp_path / "mmrec")
    free = r"`dataset\.modalities=\[\]` with a modality-free method"
    words = rf"lacks text_feat\.npy in .*`dataset\.modalities=\[visual\]` or {free} or `dataset=synthetic` runs"
    with pytest.raises(MissingFileError, match=words):
        datamodule("mmrec", tmp_path).load()
    assert datamodule("mmrec", tmp_path, "dataset.modalities=[visual]").load().modalities == ("visual",)
    assert datamodule("mmrec", tmp_path, "dataset.modalities=[]").load().modalities == ()


def test_without_any_feature_file_modality_free_methods_run(tmp_path: Path) -> None:
    toy_folder(tmp_path / "mmrec", ())
    words = r"Without it `dataset\.modalities=\[\]` with a modality-free method or `dataset=synthetic` runs\.$"
    with pytest.raises(MissingFileError, match=words):
        datamodule("mmrec", tmp_path).load()


@pytest.mark.parametrize("choice", ["tiktok", "tiktok_va", "allrecipes"])
def test_nothing_is_claimed_of_a_split_whose_rule_is_not_published(choice: str, tmp_path: Path) -> None:
    module = datamodule(choice, tmp_path)
    recipe = module.recipes[module.split]  # type: ignore[attr-defined]
    assert "random" not in recipe and "not " in recipe


def test_absent_interactions_do_not_advise_on_modalities(tmp_path: Path) -> None:
    (toy_folder(tmp_path / "mmrec") / "interactions.inter").unlink()
    with pytest.raises(MissingFileError, match=r"lacks interactions\.inter") as caught:
        datamodule("mmrec", tmp_path).load()
    assert "dataset.modalities" not in str(caught.value)


def test_tiktok_without_text(real_data: Path) -> None:
    if (real_data / "tiktok" / "text_feat.npy").exists():
        pytest.skip("the text file is here")
    words = r"lacks text_feat\.npy.*`dataset=tiktok_va` or `dataset\.modalities=\[visual,acoustic\]` or `.*=\[\]`"
    with pytest.raises(MissingFileError, match=words):
        datamodule("tiktok", real_data, "dataset.download=false").load()


def test_refusals(tmp_path: Path) -> None:
    folder = str(toy_folder(tmp_path / "toy"))
    features = {"visual": "image_feat.npy"}
    with pytest.raises(ConfigError, match=r"dataset\.split=mmrec is unknown to tiktok; it has released"):
        TikTok(folder=folder, split="mmrec", interactions="x.inter", features=features)
    with pytest.raises(DataError, match="'smell'; toy has visual"):
        MMRecFolder(folder=folder, interactions="interactions.inter", features=features, modalities=["smell"]).load()
    with pytest.raises(DataError, match="names a modality twice"):
        MMRecFolder(folder=folder, interactions="x.inter", features=features, modalities=["visual", "visual"]).load()
    with pytest.raises(ConfigError, match=r"labels names 1 files"):
        MMRecFolder(folder=folder, interactions="interactions.inter", features=features, labels=["u.csv"]).load()
    with pytest.raises(ConfigError, match="has the keys train, test"):
        Allrecipes(folder=folder, split="released", interactions={"train": "a", "test": "b"}, features=features).load()
