"""What every method has to keep; methods are found by globbing conf/model, so a new one inherits all of this."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import get_class
from torch import Tensor

from recmm.data.assembly import SplitColumns, assemble
from recmm.data.batches import Pairs
from recmm.data.batches.sampling import PairBatches
from recmm.data.dataset import MultimodalDataset
from recmm.data.synthetic import synthetic
from recmm.datamodules.base import InMemory, MultimodalDataModule
from recmm.experiment.config.build import build as build_node
from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.identity import register_resolvers
from recmm.experiment.config.schema import register_schema
from recmm.missing.imputers import Imputer, Mean, Zero
from recmm.missing.masks import Phase
from recmm.missing.settings import Rate
from recmm.missing.view import ModalityView
from recmm.missing.views import build_views
from recmm.models.base import Recommender
from recmm.models.stages import Running, Stage
from recmm.seeding import seed_torch

CONF = Path(__file__).parents[2] / "conf"
METHODS = sorted(path.stem for path in (CONF / "model").glob("*.yaml") if path.stem != "mmrec")
"""All but the adapter, which is no method without a file; ``tests/adapters`` has tests of its own."""
SETTINGS = sorted(path.stem for path in (CONF / "missing").glob("*.yaml"))
N_USERS, N_ITEMS = 61, 43  # no two sizes are alike, so that a tensor's shape tells what its rows are


@pytest.fixture(scope="module")
def dataset() -> MultimodalDataset:
    return synthetic(n_users=N_USERS, n_items=N_ITEMS, seed=0)


@pytest.fixture(scope="module", params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return request.param


@cache
def config(override: str) -> Any:
    """The composed configuration with one choice; composing is slow, so each is made once."""
    register_schema()
    register_resolvers()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose("train", ["logger=csv", override])


def build(method: str, dataset: MultimodalDataset) -> Recommender:
    seed_torch(0, 0, "initialisation")
    return build_node(config(f"model={method}").model, catalog=dataset.catalog())


def is_trained(method: str) -> bool:
    return get_class(config(f"model={method}").model._target_).trained


def first_batch(dataset: MultimodalDataset, model: Recommender) -> Pairs:
    """With as many negatives as the model wants."""
    return next(iter(PairBatches(dataset.train, batch_size=256, n_negatives=model.n_negatives)))


def view_under(dataset: MultimodalDataset, rate: float = 0.5) -> ModalityView:
    return build_views(dataset, Rate(rate=rate).draw(dataset), Zero())["train"]


def total(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


def scores(model: Recommender, view: ModalityView) -> Tensor:
    with torch.no_grad():
        return model.eval().score(torch.arange(model.catalog.n_users), view)


def start_epoch(model: Recommender, view: ModalityView) -> None:
    seed_torch(0, 0, "method")
    model.train().start_epoch(0, view)


def seeded_losses(model: Recommender, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
    seed_torch(0, 0, "method")
    return model.train().losses(batch, view)


def stages_of(model: Recommender) -> Iterator[Stage]:
    """The stages of a method; each is the running one as long as it is at hand."""
    for number, stage in enumerate(model.stages()):
        model._running, model._opponents = Running(number, 0, stage), {}
        yield stage


def losses_of_stage(
    model: Recommender, stage: Stage, dataset: MultimodalDataset, view: ModalityView
) -> dict[str, Tensor]:
    seed_torch(0, 0, "method")
    batch: Any = first_batch(dataset, model) if stage.batches is None else torch.arange(dataset.n_items)
    return (stage.losses or model.train().losses)(batch, view)


def same(a: Any, b: Any) -> bool:
    """Whether two nested states are equal, tensors in every bit."""
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return isinstance(b, type(a)) and len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def test_scores_are_finite(method: str, dataset: MultimodalDataset) -> None:
    values = scores(build(method, dataset), view_under(dataset))
    assert values.shape == (N_USERS, N_ITEMS) and torch.isfinite(values).all()


def test_every_parameter_has_one_optimiser_and_a_step_changes_those_of_the_main_one_alone(
    method: str, dataset: MultimodalDataset
) -> None:
    """In every stage; a parameter that is trained in one of them has its optimiser."""
    if not is_trained(method):
        pytest.skip("nothing to train")
    model, view = build(method, dataset), view_under(dataset)
    served: set[int] = set()
    for stage in stages_of(model):
        start_epoch(model, view)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        optimizer = model.configure_optimizers()
        trained = [id(p) for group in optimizer.param_groups for p in group["params"]]
        aside = {
            id(p)
            for part in model.side_optimizers().values()
            if isinstance(part, torch.optim.Optimizer)
            for group in part.param_groups
            for p in group["params"]
        }
        assert len(trained) == len(set(trained))
        served |= set(trained) | aside
        main = {name: p for name, p in model.named_parameters() if id(p) in set(trained)}
        reached: set[str] = set()
        # of two factors, one of which starts at zero, the other is reached from the second step on
        for _ in range(1 if all(x.any() for x in before.values()) else 2):
            optimizer.zero_grad()
            total(losses_of_stage(model, stage, dataset, view)).backward()
            # weight decay alone would change a parameter that no loss term reaches
            reached |= {name for name, p in main.items() if p.grad is not None and p.grad.any()}
            optimizer.step()
        assert set(main) - reached == set()
        assert {name for name, p in model.named_parameters() if not torch.equal(p, before[name])} == set(main)
    assert {id(p) for p in model.parameters()} == served


def test_the_loss_falls(method: str, dataset: MultimodalDataset) -> None:
    if not is_trained(method):
        pytest.skip("nothing to train")
    model, view = build(method, dataset), view_under(dataset)
    batch = first_batch(dataset, model)
    optimizer = torch.optim.Adam(model.main_parameters(), 1e-2)
    start_epoch(model, view)
    values = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = total(seeded_losses(model, batch, view))
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.95 * values[0]


def rebuilt(
    dataset: MultimodalDataset, features: dict[str, np.ndarray], observed: np.ndarray, new_id: np.ndarray | None = None
) -> MultimodalDataset:
    """The same interactions with other features, and with item i called ``new_id[i]``."""
    new_id = np.arange(dataset.n_items) if new_id is None else new_id
    splits = {name: SplitColumns(part.users, new_id[part.items]) for name, part in dataset.splits.items()}
    return assemble(
        name=dataset.name,
        split=dataset.split,
        splits=splits,
        n_users=dataset.n_users,
        n_items=dataset.n_items,
        features=features,
        observed=observed,
    )


def permuted(dataset: MultimodalDataset, new_id: np.ndarray) -> MultimodalDataset:
    """The same catalogue with item i called ``new_id[i]``."""
    order = np.argsort(new_id)
    features = {m: np.asarray(x)[order] for m, x in dataset.features.values.items()}
    return rebuilt(dataset, features, dataset.features.observed[order], new_id)


def test_permuting_item_ids_permutes_scores(method: str, dataset: MultimodalDataset) -> None:
    if method == "random":
        pytest.skip("its scores belong to positions, not to items")
    new_id = np.random.default_rng(0).permutation(N_ITEMS)
    order = torch.from_numpy(np.argsort(new_id))
    other = permuted(dataset, new_id)
    model, twin = build(method, dataset), build(method, other)
    rows = {N_ITEMS: order, N_USERS + N_ITEMS: torch.cat([torch.arange(N_USERS), N_USERS + order])}
    state = model.state_dict()
    for name, x in state.items():
        if isinstance(x, Tensor) and x.ndim and len(x) in rows:
            state[name] = x[rows[len(x)]]
    twin.load_state_dict(state)
    full = {
        name: build_views(data, Rate(rate=0.0).draw(data), Zero())["train"]
        for name, data in (("a", dataset), ("b", other))
    }
    bounds = {"rtol": 1e-4, "atol": 1e-5}
    if method == "ci2mg_literal":  # the rows of its Q are equal: batch statistics multiply what rounding leaves there
        bounds = {"rtol": 1e-3, "atol": 5e-4}
    torch.testing.assert_close(scores(twin, full["b"]), scores(model, full["a"])[:, order], **bounds)


def with_noise_in_hidden_entries(dataset: MultimodalDataset, mask: np.ndarray) -> MultimodalDataset:
    rng = np.random.default_rng(1)
    values = {}
    for m, name in enumerate(dataset.modalities):
        x = np.array(dataset.features.values[name], dtype=np.float32)
        hidden = dataset.features.observed[:, m] & ~mask[:, m]
        assert hidden.any()
        x[hidden] = 100 * rng.standard_normal((hidden.sum(), x.shape[1]))
        values[name] = x
    return rebuilt(dataset, values, dataset.features.observed)


@pytest.mark.parametrize(
    ("setting", "imputer", "phase"),
    [("mtmt", Zero, "train"), ("mtmt", Zero, "test"), ("rate", Mean, "train")],  # "rate" hides alike in all phases
)
def test_hidden_values_change_no_bit(
    method: str, dataset: MultimodalDataset, setting: str, imputer: type[Imputer], phase: Phase
) -> None:
    masks = build_node(config(f"missing={setting}").missing).draw(dataset)
    results = []
    for data in (dataset, with_noise_in_hidden_entries(dataset, masks.phase(phase))):
        view = build_views(data, masks, imputer())[phase]
        ranked = scores(build(method, data), view)
        terms = {}
        if phase == "train" and is_trained(method):
            model = build(method, data)  # a model of its own, which remembers no view
            start_epoch(model, view)
            terms = seeded_losses(model, first_batch(data, model), view)
        results.append((ranked, terms))
    assert same(*results)


@pytest.mark.parametrize("setting", SETTINGS)
def test_runs_under_every_missing_setting(method: str, dataset: MultimodalDataset, setting: str) -> None:
    cfg = config(f"missing={setting}")
    missing, imputer = (build_node(cfg[node]) for node in ("missing", "imputer"))
    views = build_views(dataset, missing.draw(dataset), imputer, missing.replace)
    model = build(method, dataset)
    assert torch.isfinite(scores(model, views["test"])).all()
    if is_trained(method):
        start_epoch(model, views["train"])
        terms = seeded_losses(model, first_batch(dataset, model), views["train"])
        total(terms).backward()
        assert all(torch.isfinite(term) for term in terms.values())
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def centred_at(dataset: MultimodalDataset, mask: np.ndarray, offset: float) -> MultimodalDataset:
    """The same catalogue with features whose visible rows have the mean ``offset``; it is exact if that is 0."""
    values = {}
    for m, name in enumerate(dataset.modalities):
        x = np.round(64 * np.nan_to_num(dataset.features.values[name])) / 64  # sums of these are exact
        visible = np.flatnonzero(mask[:, m])
        x[visible[-1]] -= x[visible].sum(0)
        values[name] = (x + offset).astype(np.float32)
    return rebuilt(dataset, values, dataset.features.observed)


def test_rows_filled_with_a_mean_are_like_zeros_in_the_first_step(method: str) -> None:
    """A method that centres features makes such rows zero, and no rounding error of theirs a direction."""
    if not is_trained(method):
        pytest.skip("nothing to train")
    dataset = synthetic(n_users=150, n_items=220, seed=0)
    masks = Rate(rate=0.9).draw(dataset)
    sizes = []
    for offset in (0.0, 0.1):
        data = centred_at(dataset, masks.phase("train"), offset)
        view = build_views(data, masks, Mean())["train"]
        model = build(method, data)
        start_epoch(model, view)
        total(seeded_losses(model, first_batch(data, model), view)).backward()
        sizes.append(torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm())
    zeros, means = sizes
    assert torch.isfinite(means) and means <= 10 * zeros


def fit(model: Recommender, datamodule: MultimodalDataModule, epochs: int = 2) -> pl.Trainer:
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        deterministic="warn",
    )
    trainer.fit(model, datamodule)
    return trainer


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_state_travels_through_a_checkpoint_of_plain_types(
    method: str, dataset: MultimodalDataset, tmp_path: Path, one_thread: None
) -> None:
    if not is_trained(method):
        pytest.skip("nothing to train")
    datamodule = InMemory(dataset)
    datamodule.configure(missing=Rate(rate=0.3))
    model = build(method, dataset)
    trainer = fit(model, datamodule)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    content = torch.load(tmp_path / "a.ckpt", weights_only=True)
    assert content["catalog"]["item_ids"] == dataset.item_ids
    assert torch.equal(content["catalog"]["train_items"], torch.tensor(dataset.train.items))
    view = datamodule.view("val")
    expected = scores(model, view)
    assert torch.equal(model.deployed_scores(content["deployed"], torch.arange(N_USERS)), expected)
    twin = build(method, dataset)
    twin.load_state_dict(content["state_dict"])
    twin.on_load_checkpoint(content)
    twin.on_fit_start()
    assert torch.equal(scores(twin, view), expected)
    for name, part in model.side_optimizers().items():
        assert same(part.state_dict(), twin.side_optimizers()[name].state_dict())


def test_methods_without_modalities_give_the_same_bits_under_every_mask(
    method: str, dataset: MultimodalDataset, one_thread: None
) -> None:
    if get_class(config(f"model={method}").model._target_).uses_modalities:
        pytest.skip("looks at modalities")
    results = []
    for rate in (0.0, 0.9):
        datamodule = InMemory(dataset)
        datamodule.configure(missing=Rate(rate=rate))
        model = build(method, dataset)
        if is_trained(method):
            fit(model, datamodule)
        results.append(scores(model, datamodule.view("test")))
    assert torch.equal(*results)
