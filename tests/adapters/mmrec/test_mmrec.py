"""A model file in MMRec's interface is a method like any other: same numbers, nothing hidden is seen, it resumes."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recmm.data.assembly import SplitColumns, assemble
from recmm.data.dataset import MultimodalDataset
from recmm.errors import ConfigError
from recmm.missing.imputers import Mean, Zero
from recmm.missing.settings import Rate, TrainTest
from recmm.missing.views import build_views
from recmm.models import FREEDOM, MFBPR, LightGCN
from tests.adapters.mmrec.running import MODELS, NAMES, adapted, fitted, native, scores

TRAINING = {"lr": 0.01, "batch_size": 512}
TWINS: dict[str, tuple[Any, dict[str, Any]]] = {
    "bpr": (MFBPR, {"dim": 16, "frobenius": 0.1}),
    "lightgcn": (LightGCN, {"dim": 16, "n_layers": 2, "ego_l2": 1e-4}),
    "item_graph": (FREEDOM, {"dim": 16, "k": 5, "rho": 0.0, "modal_weight": 0.0, "first_modality_weight": 1.0}),
}


def method_file(folder: Path, body: str, name: str = "probe") -> str:
    """A model file with this body of the class, trusted or not as the caller sets it."""
    lines = ["import torch", "from common.abstract_recommender import GeneralRecommender", "from torch import nn"]
    inner = "\n".join(f"    {line}" for line in body.splitlines())
    path = folder / f"{name}.py"
    path.write_text("\n".join([*lines, f"class {name.title()}(GeneralRecommender):", inner, ""]), encoding="utf-8")
    return str(path)


MINIMAL = """
def __init__(self, config, dataset):
    super().__init__(config, dataset)
    self.w = nn.Parameter(torch.zeros(self.n_items))
def calculate_loss(self, interaction):
    return (self.w[interaction[1]] - 1).square().mean()
def full_sort_predict(self, interaction):
    return self.w.expand(len(interaction[0]), -1)
"""


@pytest.mark.parametrize("name", NAMES)
def test_the_same_equations_give_the_metrics_of_the_own_method(name: str, whole: MultimodalDataset) -> None:
    """Weights and batches start alike, so that only rounding differs."""
    method, values = TWINS[name]
    recalls = []
    for seed in (0, 1):
        theirs = adapted(name, whole, training={"seed": seed})
        ours = native(method, whole, training=TRAINING | {"seed": seed}, **values)
        for model in (theirs, ours):
            fitted(model, whole, epochs=3)
        assert theirs.results["train/loss"] == pytest.approx(ours.results["train/loss"], rel=1e-3)
        assert ours.results["train/loss"] < 0.69
        recalls.append([model.results["val/recall@20"] for model in (theirs, ours)])
    of_theirs, of_ours = np.mean(recalls, axis=0)
    assert of_theirs == pytest.approx(of_ours, abs=0.002)


@pytest.mark.parametrize("phase", ["train", "test"])
def test_hidden_values_change_no_bit(phase: Any, whole: MultimodalDataset) -> None:
    """Neither in the model that is trained nor in the one that scores."""
    setting = Rate(rate=0.5)
    masks = setting.draw(whole)
    rng, values = np.random.default_rng(0), {}
    for m, (modality, x) in enumerate(whole.features.values.items()):
        hidden = ~masks.phase(phase)[:, m]
        values[modality] = np.array(x)
        values[modality][hidden] = 100 * rng.standard_normal((hidden.sum(), x.shape[1]))
    poisoned = assemble(
        name=whole.name,
        split=whole.split,
        splits={name: SplitColumns(part.users, part.items) for name, part in whole.splits.items()},
        n_users=whole.n_users,
        n_items=whole.n_items,
        features=values,
        observed=whole.features.observed,
    )
    found = []
    for dataset in (whole, poisoned):
        view = build_views(dataset, masks, Mean())[phase]
        model = adapted("item_graph", dataset)
        trainer = fitted(model, dataset, missing=setting, imputer=Mean(), epochs=1)
        trainer.test(model, trainer.datamodule, verbose=False)
        found.append((scores(model, view), dict(model.results)))
    assert torch.equal(found[0][0], found[1][0]) and found[0][1] == found[1][1]


def test_a_phase_is_scored_with_its_own_item_graph(whole: MultimodalDataset) -> None:
    """The graph of ``image_adj`` comes from the file in the folder of the run and view; the weights are the trained."""
    views = build_views(whole, TrainTest().draw(whole), Mean())
    model = adapted("item_graph", whole)
    model.start_epoch(0, views["train"])
    graphs = {}
    for phase in ("train", "test"):
        scores(model, views[phase])
        inner = model.prepared(views[phase]).model
        graphs[phase] = inner.image_adj
        assert torch.equal(inner.ego, model.inner.ego) and inner.ego is not model.inner.ego
        assert torch.equal(inner.image_embedding.weight, views[phase].features["visual"])
    assert torch.equal(graphs["train"], model.inner.image_adj)
    assert not torch.equal(graphs["train"], graphs["test"])


def test_trained_features_forget_what_a_phase_hides(whole: MultimodalDataset, tmp_path: Path, monkeypatch: Any) -> None:
    body = """
def __init__(self, config, dataset):
    super().__init__(config, dataset)
    self.table = nn.Embedding.from_pretrained(self.v_feat, freeze=False)
    self.norm = nn.BatchNorm1d(self.v_feat.shape[1])
    self.register_buffer("graph", self.v_feat @ self.v_feat.T)
def calculate_loss(self, interaction):
    return self.norm(self.table.weight[interaction[1]] + 1).square().mean()
def full_sort_predict(self, interaction):
    return self.graph.sum() + self.table.weight.sum(1).expand(len(interaction[0]), -1)
"""
    monkeypatch.setenv("RECMM_TRUST", str(tmp_path))
    masks = TrainTest().draw(whole)
    views = build_views(whole, masks, Zero())
    model = adapted_file(whole, method_file(tmp_path, body))
    model.start_epoch(0, views["train"])
    with torch.no_grad():
        model.inner.table.weight += 1
        model.inner.norm.running_mean += 3
    scores(model, views["test"])
    inner = model.prepared(views["test"]).model
    shown = views["train"].visible("visual") & views["test"].visible("visual")
    assert 0 < shown.sum() < len(shown)
    torch.testing.assert_close(inner.table.weight, views["test"].features["visual"] + shown[:, None].float())
    assert torch.equal(inner.norm.running_mean, model.inner.norm.running_mean)
    x = views["test"].features["visual"]
    torch.testing.assert_close(inner.graph, x @ x.T)


def adapted_file(dataset: MultimodalDataset, file: str, **values: Any) -> Any:
    from recmm.adapters.mmrec import MMRec

    return MMRec(dataset.catalog(), file=file, **values)


def test_what_a_model_sees(tiny_dataset: MultimodalDataset, tmp_path: Path, monkeypatch: Any) -> None:
    """Order of calls, fresh tensors, None for missing keys, AttributeError for unknown methods, train items."""
    body = """
calls = []
def __init__(self, config, dataset):
    super().__init__(config, dataset)
    self.w = nn.Parameter(torch.zeros(self.n_items))
    assert config["absent"] is None and "absent" not in config and config["cl_weight"] == 0.5
    assert config["embedding_size"] == 64 and isinstance(config["device"], torch.device)
    try:
        dataset.get_user_sequences()
    except AttributeError:
        self.calls.append("built")
    r = dataset.inter_matrix(form="csr")
    assert r.dtype == "float64" and r.shape == (self.n_users, self.n_items) and set(r.data) == {1.0}
    self.seen = {(u, i) for u, i in zip(*r.nonzero())}
    assert dataset.dataset.get_user_num() == self.n_users and dataset.inter_matrix().nnz == r.nnz
    assert self.v_feat.shape[0] == self.t_feat.shape[0] == self.a_feat.shape[0] == self.n_items
def pre_epoch_processing(self):
    self.calls.append(f"pre {self.training}")
def post_epoch_processing(self):
    self.calls.append("post")
def calculate_loss(self, interaction):
    self.calls.append("loss")
    assert self.training and interaction.dtype == torch.int64 and interaction.shape[0] == 3
    for u, i, j in interaction.T.tolist():
        assert (u, i) in self.seen and (u, j) not in self.seen
    interaction += 10**6
    return self.w[interaction[1] - 10**6].sum(), self.w.sum().reshape(1)
def full_sort_predict(self, interaction):
    self.calls.append("rank")
    users, mask = interaction
    assert not self.training and not torch.is_grad_enabled()
    assert {(users[a].item(), b) for a, b in mask.T.tolist()} == {(u, i) for u, i in self.seen if u in users.tolist()}
    return torch.randn(len(users), self.n_items)
"""
    monkeypatch.setenv("RECMM_TRUST", f"some_module,{tmp_path}")
    model = adapted_file(tiny_dataset, method_file(tmp_path, body), overrides={"cl_weight": 0.5})
    fitted(model, tiny_dataset)
    calls = [
        call for n, call in enumerate(model.source.model.calls) if n == 0 or call != model.source.model.calls[n - 1]
    ]
    epoch = ["loss", "built", "rank", "post"]  # the model that scores is built once
    assert calls == ["built", "pre True", *epoch, "pre False", "loss", "rank", "post"]
    assert {"train/loss_1", "train/loss_2"} <= model.results.keys()


def test_a_run_continues_with_the_same_bits(whole: MultimodalDataset, tmp_path: Path) -> None:
    at_once, first, second = (adapted("item_graph", whole) for _ in range(3))
    fitted(at_once, whole, epochs=3)
    fitted(first, whole, epochs=1).save_checkpoint(tmp_path / "a.ckpt")
    trainer = fitted(second, whole, epochs=3, ckpt_path=tmp_path / "a.ckpt")
    assert torch.equal(second.inner.ego, at_once.inner.ego)
    assert second.results == at_once.results
    trainer.save_checkpoint(tmp_path / "b.ckpt")
    content = torch.load(tmp_path / "b.ckpt", weights_only=True)
    third, view = adapted("item_graph", whole), build_views(whole, Rate(rate=0.0).draw(whole), Zero())["val"]
    third.load_state_dict(content["state_dict"])  # before there is a view to build it from
    assert torch.equal(scores(third, view), scores(second, view))


def test_two_models_in_one_process_do_not_disturb_each_other_nor_anybody_else(whole: MultimodalDataset) -> None:
    modules, sample, names = set(sys.modules), __import__("random").sample, set(vars(np))
    one, two = adapted("lightgcn", whole), adapted("lightgcn", whole)
    assert one.source.model is not two.source.model
    fitted(one, whole, epochs=1)
    assert not {"common", "common.loss", "utils", "utils.utils", "models"} & set(sys.modules)
    assert {name for name in set(sys.modules) - modules if "lightgcn" in name} == set()
    assert __import__("random").sample is sample and set(vars(np)) == names


@pytest.mark.parametrize("trust", [None, "bpr", "models", "bpr,common.loss", "tests/adapters/other"])
def test_an_untrusted_file_is_not_run(
    trust: str | None, tmp_path: Path, monkeypatch: Any, whole: MultimodalDataset
) -> None:
    file = method_file(tmp_path, "import pathlib; pathlib.Path(__file__).with_name('bitten').touch()", "bites")
    monkeypatch.delenv("RECMM_TRUST") if trust is None else monkeypatch.setenv("RECMM_TRUST", trust)
    with pytest.raises(ConfigError, match=r"^model\.file=.*bites\.py is refused, .*set RECMM_TRUST=.*bites\.py, or"):
        adapted_file(whole, file)
    assert not (tmp_path / "bitten").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"config": "absent.yaml"}, r"model\.config=absent\.yaml: there is no such file"),
        ({"overrides": {"use_full_sampling": True}}, "use_full_sampling=True is not supported"),
        ({"overrides": {"use_neighborhood_loss": True}}, "use_neighborhood_loss=True is not supported"),
        ({"overrides": {"mg": True}}, "mg=True is not supported"),
        ({"overrides": {"learner": "sgd"}}, "learner=sgd is not supported"),
        ({"overrides": {"clip_grad_norm": {"max_norm": 1}}}, "use trainer.gradient_clip_val"),
        ({"overrides": {"seed": 3}}, r"model\.overrides\.seed: the run itself sets seed"),
        ({"overrides": {"k": [1, 2], "hyper_parameters": ["k"]}}, r"k lists 2 values .*\+model\.overrides\.k=1"),
        ({"overrides": {"learning_rate": [1]}}, r"learning_rate is \[1\], but a single number"),
        ({"overrides": {"learning_rate": -1.0}}, r"model\.training\.lr must be positive"),
        ({"overrides": {"learning_rate_scheduler": 3}}, r"learning_rate_scheduler has to be two numbers"),
        ({"features": {"v_feat": "smell"}}, r"takes features, but the run has none of smell, .*v_feat=visual"),
        ({"fil": "x"}, "MMRec takes no keyword 'fil'; did you mean 'file'"),
    ],
)
def test_what_is_wrong_or_not_supported_is_a_sentence(
    values: dict[str, Any], message: str, tmp_path: Path, monkeypatch: Any, tiny_dataset: MultimodalDataset
) -> None:
    monkeypatch.setenv("RECMM_TRUST", str(tmp_path))
    with pytest.raises(ConfigError, match=message) as caught:
        adapted_file(tiny_dataset, method_file(tmp_path, MINIMAL), **values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import common.encoders\n", r"cannot be imported: No module named 'common\.encoders'.*common\.loss"),
        ("import torch_scatter_absent\n", "No module named 'torch_scatter_absent'"),
        ("def (:\n", r"is no Python: .* \(line 1\)"),
        ("x = 1\n", r"needs one subclass of GeneralRecommender.*it has none"),
    ],
)
def test_a_file_without_a_model_is_a_sentence(
    text: str, message: str, tmp_path: Path, monkeypatch: Any, tiny_dataset: MultimodalDataset
) -> None:
    monkeypatch.setenv("RECMM_TRUST", str(tmp_path))
    (tmp_path / "probe.py").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        adapted_file(tiny_dataset, str(tmp_path / "probe.py"))


def test_training_comes_from_recmm_or_else_from_the_models_configuration(tiny_dataset: MultimodalDataset) -> None:
    of_file = adapted("lightgcn", tiny_dataset).settings.training
    assert (of_file.lr, of_file.batch_size, of_file.weight_decay, of_file.lr_decay) == (0.01, 512, 0.0, 1.0)
    given = adapted("lightgcn", tiny_dataset, training={"lr": 0.5}, overrides={"learning_rate_scheduler": [0.9, 25]})
    assert given.settings.training.lr == given.config["learning_rate"] == 0.5
    assert given.settings.training.lr_decay == pytest.approx(0.81)
    assert given.config["reg_weight"] == 1e-4 and given.config["n_layers"] == 2  # lists of one value, text of YAML


def test_a_model_finds_the_files_of_its_dataset(
    tiny_dataset: MultimodalDataset, tmp_path: Path, monkeypatch: Any
) -> None:
    """Those that its text mentions, of the view's features; with a third argument the path starts at the root."""
    body = """
def __init__(self, config, dataset, stamp):
    super().__init__(config, dataset)
    import os, random
    import numpy as np
    place = os.getcwd() + config["data_path"] + config["dataset"]
    image = np.load(os.path.join(place, config["vision_feature_file"]))
    assert np.array_equal(image, self.v_feat.numpy()) and not os.path.exists(os.path.join(place, "text_feat.npy"))
    users = np.load(os.path.join(place, config["user_graph_dict_file"]), allow_pickle=True).item()
    assert sorted(users) == list(range(self.n_users)) and all(len(a) == len(b) for a, b in users.values())
    shared = (lambda r: (r @ r.T).toarray())(dataset.inter_matrix(form="csr"))
    for user, (others, counts) in users.items():
        assert counts == sorted(counts, reverse=True) and user not in others
        assert [shared[user, other] for other in others] == counts
    random.sample({1, 2}, 1)
    assert np.float is float
    self.w = nn.Parameter(torch.zeros(self.n_items).cuda())
"""
    monkeypatch.setenv("RECMM_TRUST", str(tmp_path))
    model = adapted_file(tiny_dataset, method_file(tmp_path, body))
    views = build_views(tiny_dataset, Rate(rate=0.5).draw(tiny_dataset), Zero())
    model.start_epoch(0, views["train"])
    assert model.inner.w.shape == (tiny_dataset.n_items,)


def test_the_own_model_files_are_what_the_tests_name() -> None:
    assert sorted(path.stem for path in MODELS.glob("*.py")) == sorted(NAMES)
