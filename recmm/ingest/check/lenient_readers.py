"""The files of a folder, read leniently, layout by layout, with the pieces of the strict readers."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recmm.data.assembly import SplitColumns
from recmm.data.dataset import SPLITS, Split
from recmm.data.files.arrays import check_matrix, load_array
from recmm.data.files.pickles import load_sparse
from recmm.data.files.quoting import shown_value
from recmm.data.formats import canonical, matrices, mmrec
from recmm.data.formats.manifest import FILE_NAME, KEYS, MANIFEST, feature_file, read_manifest, verify
from recmm.errors import ColumnError, DataError, DigestError, FeatureFileError, IdError
from recmm.ingest.check.findings import Findings
from recmm.ingest.check.found import NOTHING, Found

_TABLES = {"interactions": "interactions.parquet", "users": "users.parquet", "items": "items.parquet"}


def find_canonical(folder: Path, modalities: Sequence[str] | None) -> Found:
    """A folder in recmm's own layout; without a manifest that can be used, what its files say."""
    findings = Findings()
    manifest = findings.attempt("manifest", MANIFEST, read_manifest, folder / MANIFEST) or _guessed(folder)
    chosen = manifest["modalities"] if modalities is None else list(modalities)
    files = [*_TABLES.values(), "observed.npy", *map(feature_file, chosen)]
    there = [file for file in files if _is_there(findings, folder, file)]
    if manifest["files"]:
        for file in there:
            _check_digest(findings, folder, file, manifest)
        _note_unlisted(findings, folder, manifest)
    found = Found(
        name=manifest["name"],
        source=str(folder),
        split=Split(**manifest["split"]),
        n_users=manifest["n_users"],
        n_items=manifest["n_items"],
        findings=findings,
        origins={part: file for part, file in _TABLES.items()} | dict.fromkeys(SPLITS, _TABLES["interactions"]),
    )
    if _TABLES["interactions"] in there:
        found.splits = _canonical_splits(findings, folder / _TABLES["interactions"], manifest.get("interactions"))
    labels = {
        kind: findings.attempt("bad_labels", file, canonical.label_column, folder / file, kind)
        for kind, file in (("user", "users.parquet"), ("item", "items.parquet"))
        if file in there
    }
    found.user_ids, found.item_ids = labels.get("user"), labels.get("item")
    found.n_users = found.n_users or len(found.user_ids or ())
    found.n_items = found.n_items or len(found.item_ids or ())
    _add_features(found, folder, {m: feature_file(m) for m in chosen if feature_file(m) in there})
    if "observed.npy" in there:
        _add_observed(found, folder, manifest["modalities"], chosen)
    return found


def find_mmrec(
    folder: Path,
    *,
    name: str,
    split: Split,
    interactions: str,
    features: Mapping[str, str],
    labels: Sequence[str] | None,
) -> Found:
    """A folder in MMRec's layout."""
    found = Found(name, str(folder), split, origins=dict.fromkeys(SPLITS, interactions))
    if _is_there(found.findings, folder, interactions):
        found.splits = _mmrec_splits(found.findings, folder / interactions)
    _add_features(found, folder, {m: file for m, file in features.items() if _is_there(found.findings, folder, file)})
    columns = found.splits.values()
    found.n_users = 1 + max((int(part.users.max(initial=-1)) for part in columns), default=-1)
    named = 1 + max((int(part.items.max(initial=-1)) for part in columns), default=-1)
    found.n_items = max([named, *map(len, found.features.values())])  # shorter files are findings later
    if labels is not None:
        for kind, file, column, size in (
            ("users", labels[0], mmrec.USER, found.n_users),
            ("items", labels[1], mmrec.ITEM, found.n_items),
        ):
            found.origins[kind] = file
            if _is_there(found.findings, folder, file):
                read = found.findings.attempt("bad_labels", file, mmrec.read_labels, folder / file, column, size)
                setattr(found, "user_ids" if kind == "users" else "item_ids", read)
    return found


def find_matrices(
    folder: Path, *, name: str, split: Split, splits: Mapping[str, str], features: Mapping[str, str]
) -> Found:
    """A folder of pickled matrices."""
    found = Found(name, str(folder), split, origins=dict(splits))
    shape = None
    for part, file in splits.items():
        if not _is_there(found.findings, folder, file):
            continue
        matrix = found.findings.attempt(None, file, load_sparse, folder / file, f"the matrix of split {part!r}")
        if matrix is None:
            continue
        if shape is None:
            shape, first = matrix.shape, file
        found.findings.attempt("id_range", file, matrices.check_shape, matrix, shape, str(folder / file), first)
        found.splits[part] = matrices.split_columns(matrix, file)
    found.n_users, found.n_items = shape or (0, 0)
    _add_features(found, folder, {m: file for m, file in features.items() if _is_there(found.findings, folder, file)})
    return found


def _is_there(findings: Findings, folder: Path, file: str) -> bool:
    there = (folder / file).is_file()
    if not there:
        findings.add("missing_file", file, f"There is no file {file} in {folder}.")
    return there


def _guessed(folder: Path) -> dict[str, Any]:
    """In the place of a manifest that is refused: what it says nevertheless, completed from the files."""
    guess: dict[str, Any] = {
        "name": folder.resolve().name,
        "split": {},
        "n_users": 0,
        "n_items": 0,
        "modalities": sorted(path.stem for path in (folder / "features").glob("*.npy")),
        "files": {},
    }
    try:
        said = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        said = None
    if isinstance(said, dict):
        guess |= {key: said[key] for key in guess if type(said.get(key)) is KEYS[key]}
    guess["modalities"] = [name for name in guess["modalities"] if isinstance(name, str) and _is_plain(name)]
    split = guess["split"]
    guess["split"] = {"name": str(split.get("name", "unknown")), "recipe": str(split.get("recipe", "unknown"))}
    return guess | {key: max(0, guess[key]) for key in ("n_users", "n_items")}


def _is_plain(name: str) -> bool:
    return FILE_NAME.fullmatch(name) is not None


def _check_digest(findings: Findings, folder: Path, file: str, manifest: dict[str, Any]) -> None:
    try:
        verify(folder, file, manifest)
    except DigestError:
        stated, size = manifest["files"].get(file), (folder / file).stat().st_size
        known = stated.get("bytes") if isinstance(stated, dict) else None
        how = "the manifest does not name it" if known is None else f"{size:,} bytes with another sha256 than stated"
        if isinstance(known, int) and known != size:
            how = f"{size:,} bytes instead of {known:,}"
        findings.add("digest_drift", file, f"{file} is not the file that was written: {how}.")


def _note_unlisted(findings: Findings, folder: Path, manifest: dict[str, Any]) -> None:
    listed = {*manifest["files"], MANIFEST}
    here = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    if more := [file for file in here if file not in listed]:
        findings.add("unlisted_file", more[0], f"{len(more):,} files are not in the manifest, the first: {more[0]}.")


def _canonical_splits(findings: Findings, path: Path, stated: Any) -> dict[str, SplitColumns]:
    """The rows that can be read, whatever the others hold; ``stated`` are the manifest's numbers of rows."""
    file, nothing = path.name, dict.fromkeys(SPLITS, NOTHING)
    table = findings.attempt("unreadable_file", file, canonical.read_parquet, path)
    if table is None:
        return nothing
    findings.attempt(None, file, canonical.check_columns, table, canonical.INTERACTION_COLUMNS, path)
    if not set(canonical.INTERACTION_COLUMNS) <= set(table.columns):
        return nothing
    table = table.with_columns(
        pl.col("user", "item").cast(pl.Int64, strict=False), pl.col("split").cast(pl.String, strict=False)
    )
    _compare_counts(findings, table["split"], stated)
    empty_ids = table.select(pl.any_horizontal(pl.col("user", "item").is_null())).to_series()
    if empty_ids.any():
        first = empty_ids.arg_max()
        message = f"{empty_ids.sum():,} rows hold no integer as user or item, the first is row {first} (from 0)."
        findings.add("bad_ids", file, message)
    strange = table.filter(~pl.col("split").is_in(SPLITS) | pl.col("split").is_null())
    if len(strange):
        example = shown_value(strange["split"][0])
        message = f"{len(strange):,} rows belong to no split, the first says {example}; expected {', '.join(SPLITS)}."
        findings.add("unknown_split", file, message)
    columns = canonical.split_columns(table.filter(~empty_ids), path)
    return {part: found._replace(source=file) for part, found in columns.items()}


def _compare_counts(findings: Findings, splits: pl.Series, stated: Any) -> None:
    if not isinstance(stated, dict):
        return
    found = {part: int((splits == part).sum()) for part in SPLITS}
    if wrong := [part for part in SPLITS if stated.get(part) != found[part]]:
        told = "; ".join(f"{part}: manifest {stated.get(part)}, table {found[part]:,}" for part in wrong)
        findings.add("wrong_counts", MANIFEST, f"The numbers of interactions differ ({told}).")


def _mmrec_splits(findings: Findings, path: Path) -> dict[str, SplitColumns]:
    file = path.name
    names = (mmrec.USER, mmrec.ITEM, mmrec.LABEL)
    table = findings.attempt(
        None, file, mmrec.read_table, path, "the table of interactions", names, optional=(mmrec.TIME,)
    )
    if table is None:
        return dict.fromkeys(SPLITS, NOTHING)
    for column, error, code in (
        (mmrec.USER, IdError, "bad_ids"),
        (mmrec.ITEM, IdError, "bad_ids"),
        (mmrec.LABEL, ColumnError, "unknown_split"),
    ):
        findings.attempt(code, file, mmrec.integers, table, column, path, error)
    times = None
    if mmrec.TIME in table.columns:
        findings.attempt("bad_numbers", file, mmrec.numbers, table, mmrec.TIME, path)
        times = pl.col(mmrec.TIME).cast(pl.Float64, strict=False)
    kept = table.select(
        *(pl.col(name).cast(pl.Int64, strict=False) for name in names), time=pl.lit(None) if times is None else times
    ).drop_nulls(names)
    strange = kept.filter(~pl.col(mmrec.LABEL).is_in(range(len(SPLITS))))
    if len(strange):
        message = (
            f"{len(strange):,} rows have another {mmrec.LABEL} than 0 (train), 1 (validation) or 2 (test), the first "
            f"has {strange[mmrec.LABEL][0]}."
        )
        findings.add("unknown_split", file, message)
    splits = {}
    for number, part in enumerate(SPLITS):
        rows = kept.filter(pl.col(mmrec.LABEL) == number)
        users, items = rows[mmrec.USER].to_numpy(), rows[mmrec.ITEM].to_numpy()
        has_times = times is not None and not rows["time"].null_count()
        splits[part] = SplitColumns(users, items, rows["time"].to_numpy() if has_times else None, None, file)
    return splits


def _add_features(found: Found, folder: Path, files: Mapping[str, str]) -> None:
    """Map every matrix that is one; others are findings."""
    for modality, file in files.items():
        found.origins[modality] = file
        values = found.findings.attempt(None, file, load_array, folder / file, f"the features of {modality!r}")
        if values is None:
            continue
        try:
            check_matrix(values, str(folder / file))
        except FeatureFileError as error:
            found.findings.add("wrong_dtype", file, str(error))
        except DataError as error:
            found.findings.add("wrong_shape", file, str(error))
        else:
            found.features[modality] = values
    if not found.n_items and not any(len(columns.items) for columns in found.splits.values()):
        found.n_items = max(map(len, found.features.values()), default=0)


def _add_observed(found: Found, folder: Path, all_modalities: Sequence[str], chosen: Sequence[str]) -> None:
    file = "observed.npy"
    observed = found.findings.attempt(None, file, load_array, folder / file, "which entries the data has")
    if observed is None:
        return
    if observed.dtype != bool or observed.shape != (found.n_items, len(all_modalities)):
        message = (
            f"{folder / file} is {observed.dtype} of shape {observed.shape}; expected bool of shape "
            f"{(found.n_items, len(all_modalities))}: one row per item, one column per modality of the manifest."
        )
        found.findings.add("observed_shape", file, message)
        return
    columns = {modality: np.array(observed[:, column]) for column, modality in enumerate(all_modalities)}
    found.observed = {modality: columns[modality] for modality in chosen if modality in columns}
