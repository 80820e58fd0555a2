"""`python -m recmm export`: vectors or weights with raw ids, in the forms that other software reads."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse
import torch
from safetensors.numpy import save_file

from recmm import __version__
from recmm.data.files.atomic import atomic_folder
from recmm.deploy.checkpoint import Deployed, read_deployed
from recmm.deploy.export.card import model_card
from recmm.deploy.scoring import InnerProducts, scorer_of
from recmm.errors import ConfigError

Arrays = dict[str, np.ndarray]


def export(run: Path, form: str, out: Path) -> list[str]:
    """Write what recommends to the new folder ``out``; returns the names of its files.

    Beside the vectors or weights lie users.parquet and items.parquet (``id`` and ``label``, row by row),
    training_pairs.parquet (``user`` and ``item``, dense ids: what lists leave out) and about.json.

    Args:
        form: a key of `FORMS`.

    Raises:
        CheckpointError: the run cannot recommend.
        ConfigError: there is no such form, the method has no vectors for it, or its library is not installed.
        DataError: ``out`` exists, or cannot be written.
    """
    if form not in FORMS:
        raise ConfigError(f"--to {form}: choose one of {', '.join(FORMS)}.")
    deployed = read_deployed(run)
    write = FORMS[form]
    scores_by_vectors = isinstance(scorer_of(deployed), InnerProducts)
    names = ("users", "items") if scores_by_vectors else ()
    vectors = {name: deployed.tensors[name].float().numpy() for name in names}
    if not vectors and not (form == "npz" and _matrices(deployed)):
        instead = "--to npz writes its matrix" if _matrices(deployed) else "recommend writes its lists"
        raise ConfigError(f"{deployed.name} does not score by vectors, which --to {form} needs: {instead}.")
    if form in _LIBRARIES:
        _require(form)
    with atomic_folder(out.expanduser()) as new:
        write(deployed, vectors, new)
        _describe(deployed, form, new)
        return sorted(path.name for path in new.iterdir())


def _matrices(deployed: Deployed) -> list[str]:
    return [name for name in ("item_item", "user_user") if name in deployed.tensors]


def _require(form: str) -> None:
    library, package = _LIBRARIES[form]
    try:
        import_module(library)
    except ImportError as error:
        raise ConfigError(
            f"--to {form} needs {package}, which is not installed: install recmm[export], or {package} alone."
        ) from error


def _describe(deployed: Deployed, form: str, new: Path) -> None:
    catalog = deployed.catalog
    for name, labels in (("users", catalog.user_ids), ("items", catalog.item_ids)):
        if not (new / f"{name}.parquet").exists():
            table = pl.DataFrame({"label": pl.Series(labels, dtype=pl.String)}).with_row_index("id")
            table.write_parquet(new / f"{name}.parquet")
    pairs = {"user": catalog.train_users.int().numpy(), "item": catalog.train_items.int().numpy()}
    pl.DataFrame(pairs).write_parquet(new / "training_pairs.parquet")
    about = {
        "recmm": __version__,
        "form": form,
        "method": deployed.name,
        "score": "matrix" if _matrices(deployed) else "inner product of the user's and the item's vector",
        "n_users": catalog.n_users,
        "n_items": catalog.n_items,
        "tensors": {name: list(tensor.shape) for name, tensor in deployed.tensors.items()},
    }
    (new / "about.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _safetensors(deployed: Deployed, vectors: Arrays, new: Path) -> None:
    save_file(_contiguous(vectors), new / "vectors.safetensors")


def _npz(deployed: Deployed, vectors: Arrays, new: Path) -> None:
    if vectors:
        np.savez(new / "vectors.npz", **vectors)  # type: ignore[arg-type]
    for name in _matrices(deployed):
        tensor = deployed.tensors[name]
        sparse = tensor if tensor.layout == torch.sparse_csr else tensor.to_sparse_csr()
        parts = (sparse.values().numpy(), sparse.col_indices().numpy(), sparse.crow_indices().numpy())
        scipy.sparse.save_npz(new / f"{name}.npz", scipy.sparse.csr_matrix(parts, shape=tuple(sparse.shape)))


def _parquet(deployed: Deployed, vectors: Arrays, new: Path) -> None:
    labels = {"users": deployed.catalog.user_ids, "items": deployed.catalog.item_ids}
    for name, values in vectors.items():
        table = pl.DataFrame({"label": pl.Series(labels[name], dtype=pl.String)}).with_row_index("id")
        table.with_columns(vector=pl.Series(values)).write_parquet(new / f"{name}.parquet")


def _faiss(deployed: Deployed, vectors: Arrays, new: Path) -> None:
    faiss: Any = import_module("faiss")
    index = faiss.IndexFlatIP(vectors["items"].shape[1])  # exact, so that its lists are the run's
    index.add(np.ascontiguousarray(vectors["items"]))
    faiss.write_index(index, str(new / "items.faiss"))
    _safetensors(deployed, {"users": vectors["users"]}, new)


def _hnsw(deployed: Deployed, vectors: Arrays, new: Path) -> None:
    index: Any = import_module("hnswlib").Index(space="ip", dim=vectors["items"].shape[1])
    index.init_index(max_elements=len(vectors["items"]), ef_construction=200, M=16)
    index.add_items(vectors["items"], np.arange(len(vectors["items"])))
    index.save_index(str(new / "items.hnsw"))
    _safetensors(deployed, {"users": vectors["users"]}, new)


def _onnx(deployed: Deployed, vectors: Arrays, new: Path) -> None:
    """The scoring head: ``user`` int64 [B], dense ids -> ``scores`` float32 [B, n_items]."""
    onnx: Any = import_module("onnx")
    helper, types = onnx.helper, onnx.TensorProto
    weights = {"users": vectors["users"], "items": np.ascontiguousarray(vectors["items"].T)}
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["users", "user"], ["vectors"], axis=0),
            helper.make_node("MatMul", ["vectors", "items"], ["scores"]),
        ],
        "recmm",
        [helper.make_tensor_value_info("user", types.INT64, ["batch"])],
        [helper.make_tensor_value_info("scores", types.FLOAT, ["batch", deployed.catalog.n_items])],
        [onnx.numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model)
    onnx.save(model, str(new / "scores.onnx"))


def _hf(deployed: Deployed, vectors: Arrays, new: Path) -> None:
    """A folder as `huggingface_hub` uploads it: a model card, the vectors, and what describes them."""
    _safetensors(deployed, vectors, new)
    (new / "README.md").write_text(model_card(deployed), encoding="utf-8")


def _contiguous(arrays: Arrays) -> Arrays:
    return {name: np.ascontiguousarray(values) for name, values in arrays.items()}


_LIBRARIES = {"faiss": ("faiss", "faiss-cpu"), "hnsw": ("hnswlib", "hnswlib"), "onnx": ("onnx", "onnx")}
FORMS: dict[str, Callable[[Deployed, Arrays, Path], None]] = {
    "safetensors": _safetensors,
    "npz": _npz,
    "parquet": _parquet,
    "faiss": _faiss,
    "hnsw": _hnsw,
    "onnx": _onnx,
    "hf": _hf,
}
"""Name of a form -> what writes it."""
