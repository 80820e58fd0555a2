"""`data check`: faults are planted into a good folder, one at a time and all at once, and each must be found."""

import json
import pickle
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.sparse import coo_matrix
from typer.testing import CliRunner

from recmm.data.dataset import MultimodalDataset, Split
from recmm.data.formats import read_canonical, write_canonical
from recmm.data.synthetic import synthetic
from recmm.datamodules import CanonicalFolder
from recmm.errors import DataError
from recmm.ingest.check.catalogue import check_catalogue
from recmm.ingest.check.findings import CODES
from recmm.ingest.commands import app
from tests.data.formats.manifests import edit_manifest, sign

Plant = Callable[[Path], None]
N_USERS, N_ITEMS = 200, 120
START = 1_400_000_000  # seconds since 1970


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing wrong: timestamps follow the splits, as the split's recipe says."""
    dataset = synthetic(n_users=N_USERS, n_items=N_ITEMS)
    later = {"train": 0, "val": 10**6, "test": 2 * 10**6}
    timed: Any = {
        part: replace(pairs, timestamps=START + later[part] + np.arange(len(pairs)))
        for part, pairs in dataset.splits.items()
    }
    folder = tmp_path_factory.mktemp("check") / "good"
    write_canonical(replace(dataset, split=Split("by_time", "temporal: the last pairs of each user"), **timed), folder)
    return folder


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    shutil.copytree(good, tmp_path / "toy")
    return tmp_path / "toy"


@pytest.fixture(scope="module")
def baseline(good: Path) -> dict[str, str]:
    """What is noted of the good folder."""
    return check(good, code=0)


def check(*arguments: str | Path, code: int | None = None) -> dict[str, str]:
    """code of a finding -> its worst severity, from the command's JSON."""
    result = CliRunner().invoke(app, ["check", *map(str, arguments), "--json"], catch_exceptions=False)
    told = json.loads(result.stdout)
    assert code is None or result.exit_code == code, told
    assert all(finding["message"] and finding["advice"] and finding["where"] for finding in told["findings"])
    return {finding["code"]: finding["severity"] for finding in reversed(told["findings"])}


def array(file: str, change: Callable[[np.ndarray], np.ndarray | None]) -> Plant:
    """Change an array in place, or replace it by what ``change`` returns."""

    def plant(folder: Path) -> None:
        values = np.load(folder / file)
        changed = change(values)
        np.save(folder / file, values if changed is None else changed, allow_pickle=True)
        sign(folder, file)

    return plant


def feature(modality: str, change: Callable[[np.ndarray], np.ndarray | None]) -> Plant:
    return array(f"features/{modality}.npy", change)


def table(file: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Plant:
    def plant(folder: Path) -> None:
        change(pl.read_parquet(folder / file)).write_parquet(folder / file)
        sign(folder, file)

    return plant


def interactions(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Plant:
    def counted(folder: Path) -> None:
        table("interactions.parquet", change)(folder)
        counts = pl.read_parquet(folder / "interactions.parquet")["split"].value_counts()
        stated = {part: 0 for part in ("train", "val", "test")} | dict(counts.rows())
        edit_manifest(folder, lambda manifest: manifest.update(interactions=stated))

    return counted


def content(file: str, change: Callable[[bytes], bytes]) -> Plant:
    def plant(folder: Path) -> None:
        (folder / file).write_bytes(change((folder / file).read_bytes()))
        sign(folder, file)

    return plant


def set_rows(rows: slice, value: Any) -> Callable[[np.ndarray], None]:
    def change(values: np.ndarray) -> None:
        values[rows] = value

    return change


def moved(part: str, to: str, keep: pl.Expr) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Pairs of ``part`` go to ``to``, but for those that are kept."""
    return lambda t: t.with_columns(
        split=pl.when((pl.col("split") == part) & ~keep).then(pl.lit(to)).otherwise("split")
    )


def again(t: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([t, t.filter(pl.col("split") == "train").head(3)])


def overlapping(t: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([t, t.filter(pl.col("split") == "train").tail(4).with_columns(split=pl.lit("test"))])


def first_row(t: pl.DataFrame, column: str, value: Any) -> pl.DataFrame:
    first = pl.int_range(pl.len()) == 0
    return t.with_columns(pl.when(first).then(pl.lit(value, t.schema[column])).otherwise(column).alias(column))


def milliseconds(t: pl.DataFrame) -> pl.DataFrame:
    return t.with_columns(pl.when(pl.col("split") == "val").then(pl.col("timestamp") * 1000).otherwise("timestamp"))


def older_test(t: pl.DataFrame) -> pl.DataFrame:
    return t.with_columns(
        pl.when(pl.col("split") == "test").then(START - 10**6).otherwise("timestamp").alias("timestamp")
    )


def shuffled(values: np.ndarray) -> np.ndarray:
    return values[np.random.default_rng(3).permutation(len(values))]


def whole_days(t: pl.DataFrame) -> pl.DataFrame:
    return t.with_columns(pl.col("timestamp") // 86400 * 86400)


def single_precision(t: pl.DataFrame) -> pl.DataFrame:
    return t.with_columns(pl.col("timestamp").cast(pl.Float32))


def nan_time(t: pl.DataFrame) -> pl.DataFrame:
    return first_row(t.with_columns(pl.col("timestamp").cast(pl.Float64)), "timestamp", float("nan"))


def complexes(values: np.ndarray) -> np.ndarray:
    return values.astype(np.complex64)


FEW_USERS = pl.col("user") > N_USERS // 4
FAULTS: Mapping[str, tuple[str, str, Plant]] = {
    "a file is gone": ("missing_file", "error", lambda folder: (folder / "features/visual.npy").unlink()),
    "the manifest is cut": ("manifest", "error", lambda f: (f / "manifest.json").write_text('{"format":')),
    "a byte differs": (
        "digest_drift",
        "error",
        lambda f: (f / "observed.npy").write_bytes((f / "observed.npy").read_bytes()[:-1] + b"\0"),
    ),
    "an unknown file": ("unlisted_file", "note", lambda f: (f / "notes.txt").write_text("mine")),
    "no Parquet": ("unreadable_file", "error", content("interactions.parquet", lambda _: b"user,item\n0,1\n")),
    "no array": ("unreadable_file", "error", content("features/textual.npy", lambda old: b"x" * len(old))),
    "a short array": ("truncated_file", "error", content("features/textual.npy", lambda old: old[:-100])),
    "pickled objects": ("object_dtype", "error", feature("visual", lambda v: v.astype(object))),
    "complex numbers": ("wrong_dtype", "error", feature("visual", complexes)),
    "doubles": ("copied_dtype", "note", feature("visual", lambda v: v.astype(np.float64))),
    "three dimensions": ("wrong_shape", "error", feature("visual", lambda v: v[None])),
    "a row too few": ("row_count", "error", feature("visual", lambda v: v[:-1])),
    "observed too short": ("observed_shape", "error", array("observed.npy", lambda v: v[:-1])),
    "NaN": ("not_finite", "error", feature("visual", set_rows(slice(20, 40), np.nan))),
    "zeros": ("zero_rows", "warning", feature("visual", set_rows(slice(20, 40), 0))),
    "placeholders": ("duplicate_rows", "warning", feature("visual", set_rows(slice(20, 40), 0.5))),
    "rows of one value": (
        "constant_rows",
        "warning",
        feature("visual", lambda v: np.r_[np.full_like(v[:1], 0.3), v[1:]]),
    ),
    "large values": ("large_values", "warning", feature("visual", lambda v: v * np.float32(1e8))),
    "values whose squares overflow": ("large_values", "error", feature("visual", lambda v: v * np.float32(1e30))),
    "two equal rows": ("duplicate_rows", "note", feature("visual", lambda v: v[[0, 1, 2, *range(2, len(v) - 1)]])),
    "a constant column": (
        "constant_columns",
        "note",
        feature("visual", lambda v: np.c_[v[:, 1:], np.ones(len(v), "f4")]),
    ),
    "constant columns": (
        "constant_columns",
        "warning",
        feature("visual", lambda v: np.c_[v[:, :2], np.ones((len(v), 3), "f4")]),
    ),
    "one row for all": ("dead_modality", "error", feature("visual", lambda v: np.tile(v[:1] + 1, (len(v), 1)))),
    "nothing observed": ("dead_modality", "error", array("observed.npy", lambda v: v & [False, True, True])),
    "items without anything": ("bare_items", "note", array("observed.npy", set_rows(slice(5, 9), False))),
    "far larger features": ("different_scales", "note", feature("visual", lambda v: v * 100)),
    "shuffled rows": ("unaligned", "note", feature("visual", shuffled)),
    "repeated pairs": ("duplicate_pairs", "warning", interactions(again)),
    "trained and tested on": ("split_overlap", "error", interactions(overlapping)),
    "no validation": ("empty_split", "error", interactions(lambda t: t.filter(pl.col("split") != "val"))),
    "an id too large": ("id_range", "error", interactions(lambda t: first_row(t, "item", N_ITEMS))),
    "a negative id": ("id_range", "error", interactions(lambda t: first_row(t, "user", -1))),
    "ids as text": ("wrong_columns", "error", interactions(lambda t: t.with_columns(pl.col("user").cast(pl.String)))),
    "no column of items": ("wrong_columns", "error", interactions(lambda t: t.rename({"item": "product"}))),
    "an empty id": ("bad_ids", "error", interactions(lambda t: first_row(t, "user", None))),
    "a fourth split": ("unknown_split", "error", interactions(lambda t: first_row(t, "split", "dev"))),
    "a label too few": ("label_count", "error", table("users.parquet", lambda t: t.head(N_USERS - 1))),
    "one label twice": ("duplicate_labels", "error", table("items.parquet", lambda t: first_row(t, "item", "item1"))),
    "a label of nothing": ("bad_labels", "error", table("items.parquet", lambda t: first_row(t, "item", None))),
    "a blank label": ("bad_labels", "warning", table("items.parquet", lambda t: first_row(t, "item", " "))),
    "other counts": ("wrong_counts", "warning", table("interactions.parquet", lambda t: t.head(len(t) - 1))),
    "users without history": (
        "users_without_history",
        "warning",
        interactions(lambda t: t.filter((pl.col("split") != "train") | FEW_USERS)),
    ),
    "users of nothing": ("unused_users", "note", interactions(lambda t: t.filter(FEW_USERS))),
    "not a number": ("bad_numbers", "error", interactions(nan_time)),
    "whole days": ("tied_times", "warning", interactions(whole_days)),
    "single precision": ("coarse_times", "warning", interactions(single_precision)),
    "milliseconds": ("mixed_time_units", "warning", interactions(milliseconds)),
    "the future in training": ("temporal_leak", "error", interactions(older_test)),
}


def test_a_clean_folder_has_neither_errors_nor_warnings(good: Path, baseline: dict[str, str]) -> None:
    assert baseline == {"users_without_history": "note", "cold_items": "note"}
    assert check(good, "--strict", code=0) == baseline


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(baseline: dict[str, str], folder: Path, fault: str) -> None:
    code, severity, plant = FAULTS[fault]
    assert baseline.get(code) != severity, "the good folder has it, so the test would show nothing"
    plant(folder)
    found = check(folder, code=int(severity == "error"))
    assert found.get(code) == severity


@pytest.mark.parametrize("fault", [name for name, (_, severity, _) in FAULTS.items() if severity != "error"])
def test_what_is_no_error_can_be_read(folder: Path, fault: str) -> None:
    """Every error is one that the reader refuses or that spoils results; nothing else is refused."""
    FAULTS[fault][2](folder)
    read_canonical(folder)


# Errors that the reader lets through, because the files are sound: what they say makes results worthless.
SPOILT = {"values whose squares overflow", "one row for all", "nothing observed", "the future in training"}


@pytest.mark.parametrize("fault", [name for name, (_, severity, _) in FAULTS.items() if severity == "error"])
def test_what_the_reader_refuses_is_an_error(folder: Path, fault: str) -> None:
    FAULTS[fault][2](folder)
    if fault in SPOILT:
        read_canonical(folder)
    else:
        with pytest.raises(DataError):
            read_canonical(folder)


TOGETHER = (
    "an unknown file",
    "zeros",
    "a row too few",
    "far larger features",
    "a short array",
    "NaN in sound",
    "constant columns of sound",
    "items without anything",
    "users without history",
    "a few users of nothing",
    "no validation",
    "the future in training",
    "milliseconds of training",
    "repeated pairs",
    "trained and tested on",
    "an id too large",
    "a row of nobody",
    "a fourth split",
    "a label too few",
    "one label twice",
    "other counts",
    "a byte differs",
)


def test_all_at_once_and_all_of_them_are_told(folder: Path) -> None:
    def narrow(values: np.ndarray) -> np.ndarray:
        return np.c_[values[:, :2], np.ones((len(values), 3), "f4")]

    def late(t: pl.DataFrame) -> pl.DataFrame:
        return first_row(t, "timestamp", START * 1000)

    def nobody(t: pl.DataFrame) -> pl.DataFrame:
        return pl.concat([t.tail(1).with_columns(user=pl.lit(None, t.schema["user"])), t])

    def dev(t: pl.DataFrame) -> pl.DataFrame:
        return pl.concat([t.filter(pl.col("user") > 60).tail(1).with_columns(split=pl.lit("dev")), t])

    more: dict[str, tuple[str, str, Plant]] = {
        "NaN in sound": ("not_finite", "error", feature("acoustic", set_rows(slice(60, 65), np.nan))),
        "constant columns of sound": ("constant_columns", "warning", feature("acoustic", narrow)),
        "a few users of nothing": ("unused_users", "note", interactions(lambda t: t.filter(pl.col("user") > 9))),
        "milliseconds of training": ("mixed_time_units", "warning", interactions(late)),
        "a row of nobody": ("bad_ids", "error", interactions(nobody)),
        "a fourth split": ("unknown_split", "error", interactions(dev)),
    }
    expected = {}
    for fault in TOGETHER:
        code, severity, plant = (FAULTS | more)[fault]
        plant(folder)
        expected[code] = severity
    found = check(folder, code=1)
    assert len(expected) == len(TOGETHER) == 22
    assert {code: found.get(code) for code in expected} == expected


def test_strict_fails_on_warnings(folder: Path) -> None:
    interactions(again)(folder)
    check(folder, code=0)
    check(folder, "--strict", code=1)


def test_the_list_for_people(folder: Path) -> None:
    interactions(again)(folder)
    feature("visual", set_rows(slice(20, 40), np.nan))(folder)
    result = CliRunner().invoke(app, ["check", str(folder)])
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["error", "not_finite", "features/visual.npy"]
    observed = np.load(folder / "observed.npy")[20:40, 0]
    n_rows, width = int(observed.sum()), np.load(folder / "features/visual.npy").shape[1]
    assert f"{n_rows * width:,} NaN or Inf values in {n_rows} of" in lines[1]
    assert f"the first is row {20 + int(observed.argmax())}." in lines[1]
    assert lines[2].strip().startswith("→")
    order = [line.split()[0] for line in lines if line.startswith(("error", "warning", "note"))]
    assert order == sorted(order, key=["error", "warning", "note"].index) and "warning" in order
    assert lines[-1].startswith("toy, split by_time: 1 error, 1 warning, ")


def test_a_temporal_split_that_leaks_for_few_users_is_a_warning(folder: Path) -> None:
    late = (pl.col("split") == "train") & (pl.col("user") == 3)
    interactions(
        lambda t: t.with_columns(pl.when(late).then(START + 3 * 10**6).otherwise("timestamp").alias("timestamp"))
    )(folder)
    assert check(folder, code=0)["temporal_leak"] == "warning"
    edit_manifest(folder, lambda manifest: manifest.update(split={"name": "random", "recipe": "per user at random"}))
    assert "temporal_leak" not in check(folder, code=0)


def test_a_manifest_with_one_wrong_key_does_not_hide_the_rest(folder: Path, baseline: dict[str, str]) -> None:
    edit_manifest(folder, lambda manifest: manifest.update(format_version=99, split=None, modalities=["visual", 3]))
    (folder / "features" / "visual.npy").unlink()
    interactions(again)(folder)
    found = check(folder, code=1)
    severe = {code: severity for code, severity in found.items() if severity != "note"}
    assert severe == {
        "manifest": "error",
        "missing_file": "error",
        "observed_shape": "error",
        "duplicate_pairs": "warning",
    }
    (folder / "manifest.json").unlink()
    assert check(folder, "--layout", "canonical", code=1) == baseline | {
        "manifest": "error",
        "duplicate_pairs": "warning",
        "observed_shape": "error",
        "zero_rows": "warning",  # what is not observed is written as zeros, and nothing usable says so any more
    }


def test_a_split_drawn_by_time_does_not_leak_and_one_with_new_items_may(folder: Path) -> None:
    by_time = ["dataset=canonical", f"dataset.folder={folder}"]
    assert "temporal_leak" not in check(*by_time, "split=temporal_leave_one_out", code=0)
    assert "temporal_leak" not in check(*by_time, "split=item_cold_start", code=0)


def test_no_damage_stops_the_check(good: Path, folder: Path) -> None:
    """Whatever byte is changed and wherever a file is cut: findings, and an error unless it was in the manifest."""
    random = np.random.default_rng(0)
    for file in sorted(path.relative_to(good) for path in good.rglob("*") if path.is_file()):
        whole = (good / file).read_bytes()
        for place in random.integers(0, len(whole), 12).tolist():
            changed = whole[:place] + bytes([whole[place] ^ (1 + place % 255)]) + whole[place + 1 :]
            for damaged in (changed, whole[:place]):
                (folder / file).write_bytes(damaged)
                found = check_catalogue(CanonicalFolder(folder=str(folder))).findings
                assert found.counts()["error"] or file.name == "manifest.json"
        (folder / file).write_bytes(whole)


def test_how_a_file_has_changed(folder: Path) -> None:
    observed = folder / "observed.npy"
    observed.write_bytes(observed.read_bytes() + b"more")
    users = folder / "users.parquet"
    edit_manifest(folder, lambda manifest: manifest["files"][users.name].update(sha256="0"))
    edit_manifest(folder, lambda manifest: manifest["files"].pop("items.parquet"))
    result = CliRunner().invoke(app, ["check", str(folder)])
    assert f"{observed.stat().st_size:,} bytes instead of {observed.stat().st_size - 4:,}." in result.stdout
    assert f"users.parquet is not the file that was written: {users.stat().st_size:,} bytes with an" in result.stdout
    assert "items.parquet is not the file that was written: the manifest does not name it." in result.stdout


def test_a_huge_size_in_the_manifest_takes_no_memory(folder: Path) -> None:
    edit_manifest(folder, lambda manifest: manifest.update(n_users=10**15))
    assert check(folder, code=1)["label_count"] == "error"


@pytest.fixture
def mmrec_folder(tmp_path: Path, tiny_dataset: MultimodalDataset) -> Path:
    folder = tmp_path / "mmrec"
    folder.mkdir()
    rows = ["userID\titemID\tx_label"]
    for label, pairs in enumerate(tiny_dataset.splits.values()):
        rows += [f"{user}\t{item}\t{label}" for user, item in zip(pairs.users, pairs.items, strict=True)]
    (folder / "toy.inter").write_text("\n".join(rows) + "\n")
    np.save(folder / "image_feat.npy", np.nan_to_num(tiny_dataset.features.values["visual"]) + 1)
    return folder


def append(folder: Path, *lines: str) -> None:
    with (folder / "toy.inter").open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def test_a_folder_of_mmrec(mmrec_folder: Path) -> None:
    assert "error" not in check(mmrec_folder).values()
    append(mmrec_folder, "1.5\t2\t0", "1\t2\t7", "0\t999999\t1", "-3\t0\t2")
    np.save(mmrec_folder / "audio_feat.npy", np.ones((7, 2), np.float32))
    (mmrec_folder / "u_id_mapping.csv").write_text("raw\tuserID\na\t0\n")
    (mmrec_folder / "i_id_mapping.csv").write_text("raw\titemID\nb\tx\n")
    found = check(mmrec_folder, code=1)
    expected = {"bad_ids", "unknown_split", "id_range", "raw_ids", "row_count", "dead_modality", "bad_labels"}
    assert expected <= {code for code, severity in found.items() if severity == "error"}


def test_files_are_named_by_options(mmrec_folder: Path) -> None:
    (mmrec_folder / "other.inter").write_text("userID,itemID,x_label\n")
    chosen = ("--layout", "mmrec", "--interactions")
    assert "error" not in check(mmrec_folder, *chosen, "toy.inter").values()
    assert check(mmrec_folder, *chosen, "other.inter")["wrong_columns"] == "error"
    assert check(mmrec_folder, *chosen, "toy.inter", "--features", "visual=no.npy")["missing_file"] == "error"


class Evil:
    def __reduce__(self) -> Any:
        return print, ("executed",)


def test_a_folder_of_matrices(tmp_path: Path, tiny_dataset: MultimodalDataset) -> None:
    for part, file in (("train", "trnMat.pkl"), ("val", "valMat.pkl"), ("test", "tstMat.pkl")):
        (tmp_path / file).write_bytes(pickle.dumps(coo_matrix(tiny_dataset.splits[part].csr())))
    np.save(tmp_path / "image_feat.npy", np.nan_to_num(tiny_dataset.features.values["visual"]) + 1)
    assert "error" not in check(tmp_path).values()
    (tmp_path / "valMat.pkl").write_bytes(pickle.dumps(coo_matrix(np.ones((2, 3)))))
    (tmp_path / "tstMat.pkl").write_bytes(pickle.dumps(Evil()))
    np.save(tmp_path / "image_feat.npy", np.ones((3, 2), np.float32))
    found = check(tmp_path, code=1)
    assert {"unsafe_pickle", "id_range", "row_count", "dead_modality"} <= set(found)
    assert "empty_split" not in found  # it would only repeat that the pickle is refused


def test_arguments_of_train(folder: Path) -> None:
    plain = check("dataset=canonical", f"dataset.folder={folder}", "dataset.modalities=[textual]", code=0)
    (folder / "features" / "visual.npy").unlink()
    edit_manifest(folder, lambda manifest: manifest["files"].pop("features/visual.npy"))
    assert check("dataset=canonical", f"dataset.folder={folder}", "dataset.modalities=[textual]", code=0) == plain
    assert check("dataset=canonical", f"dataset.folder={folder}", code=1)["missing_file"] == "error"
    redrawn = ("dataset=canonical", f"dataset.folder={folder}", "split=item_cold_start")
    assert list(check(*redrawn, code=1)) == ["missing_file"]  # the strict way, which ends there


def test_the_embedded_dataset_is_clean() -> None:
    assert set(check("synthetic", "dataset.scale=0.2", code=0).values()) == {"note"}


def test_tiktok_is_clean_and_its_oddities_are_noted(real_data: Path) -> None:
    result = CliRunner().invoke(app, ["check", "dataset=tiktok_va", f"paths.data={real_data}", "--json", "--strict"])
    assert result.exit_code == 0
    messages = {(one["code"], one["where"]): one["message"] for one in json.loads(result.stdout)["findings"]}
    assert messages["duplicate_rows", "image_feat.npy"].startswith("3 of 6,710 rows repeat another one")
    assert messages["duplicate_rows", "audio_feat.npy"].startswith("55 of 6,710 rows repeat another one")
    assert messages["cold_items", "train"].startswith("465 of 6,710 items occur in validation or test alone")
    assert not any(code == "unaligned" for code, _ in messages)


def test_other_files_than_the_published_ones(mmrec_folder: Path) -> None:
    arguments = ["dataset=baby", f"dataset.folder={mmrec_folder}", "dataset.interactions=toy.inter"]
    found = check(*arguments, "dataset.modalities=[]", code=1)
    assert found["wrong_statistics"] == "error"
    assert "wrong_statistics" not in check(*arguments, "dataset.modalities=[]", "dataset.expected=null")


def test_every_code_is_planted_somewhere() -> None:
    elsewhere = {"unsafe_pickle", "raw_ids", "wrong_statistics", "unreadable_data"}
    natural = {"cold_items", "unused_items"}
    assert {code for code, _, _ in FAULTS.values()} | elsewhere | natural == set(CODES)


def test_a_missing_table_is_one_finding(tmp_path: Path) -> None:
    np.save(tmp_path / "image_feat.npy", np.ones((3, 2), np.float32))
    arguments = ["dataset=mmrec", f"dataset.folder={tmp_path}", "dataset.modalities=[]"]
    assert check(*arguments, code=1) == {"missing_file": "error"}


def test_a_name_cannot_act_on_the_terminal(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"name": "toy\x1b[2J\x9b31m"}))
    told = CliRunner().invoke(app, ["check", str(folder)]).stdout
    assert "\x1b" not in told and "\x9b" not in told and "\\x1b[2J" in told
