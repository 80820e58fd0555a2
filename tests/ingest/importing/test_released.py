"""`--from mmrec|matrices|json`: the layouts of released catalogues."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from recmm.data.dataset import Split
from recmm.data.formats import read_canonical, read_matrices
from recmm.errors import ConfigError, MissingFileError
from tests.ingest.importing.running import run


def test_json_and_mmrec_agree(tmp_path: Path) -> None:
    splits = {"train": {"0": [0, 1], "1": [1]}, "val": {"0": [2]}, "test": {"1": ["0"]}}
    for part, content in splits.items():
        (tmp_path / f"{part}.json").write_text(json.dumps(content))
    np.save(tmp_path / "v.npy", np.eye(3, dtype=np.float32))
    (tmp_path / "toy.inter").write_text("userID\titemID\tx_label\n0\t0\t0\n0\t1\t0\n1\t1\t0\n0\t2\t1\n1\t0\t2\n")
    digests = set()
    for layout in ("json", "mmrec"):
        run(tmp_path, "--from", layout, "--out", tmp_path / layout, "--features", "visual=v.npy")
        digests.add(read_canonical(tmp_path / layout).digest)
    assert len(digests) == 1
    shutil.copy(tmp_path / "toy.inter", tmp_path / "other.inter")
    with pytest.raises(ConfigError, match=r"holds other.inter, toy.inter: choose one with --interactions"):
        run(tmp_path, "--from", "mmrec", "--out", tmp_path / "more")
    with pytest.raises(MissingFileError, match=r"holds no \.inter table"):
        run(tmp_path / "json", "--from", "mmrec", "--out", tmp_path / "more")


def test_tiktok(real_data: Path, tmp_path: Path) -> None:
    features = {"visual": "image_feat.npy", "acoustic": "audio_feat.npy"}
    options = [part for modality, file in features.items() for part in ("--features", f"{modality}={file}")]
    run(real_data / "tiktok", "--from", "matrices", "--out", tmp_path / "made", *options)
    expected = read_matrices(real_data / "tiktok", name="x", split=Split("given", ""), features=features)
    assert read_canonical(tmp_path / "made").digest == expected.digest


@pytest.mark.parametrize(("name", "first"), [("baby", "097293751X"), ("sports", "1881509818")])
def test_amazon_in_the_ids_of_mmrec(real_data: Path, tmp_path: Path, name: str, first: str) -> None:
    labels = ("--labels", "u_id_mapping.csv", "i_id_mapping.csv")
    table = ("--interactions", f"{name}_MMRec_order_reconstructed.inter")
    result = run(real_data / f"amazon_{name}", "--from", "mmrec", "--out", tmp_path / "made", *labels, *table)
    assert read_canonical(tmp_path / "made").item_ids[0] == first
    assert {"baby": "160,792", "sports": "296,337"}[name] in result.stdout
