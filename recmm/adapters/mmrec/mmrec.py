"""Model files in MMRec's interface (Zhou, MM Asia Workshops 2023), trained and evaluated like any other method."""

import inspect
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor

from recmm.adapters.mmrec.carrying import Built, carry
from recmm.adapters.mmrec.config import Config, compose
from recmm.adapters.mmrec.folder import make_folder
from recmm.adapters.mmrec.loader import TrainLoader
from recmm.adapters.mmrec.source import ModelFile, refuse_file
from recmm.adapters.mmrec.training import MMRecTraining, resolved
from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.graph.sparse import row_starts
from recmm.missing.view import ModalityView
from recmm.models.base import Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.seeding import derive, seed_torch


class MMRec(Recommender):
    """The model of ``model.file``, built from the training view; its ``calculate_loss`` is trained.

    For an evaluation the model is built once more, from the features of the phase's view, so that item graphs that its
    constructor makes are those of the phase. It gets what training has learnt (``carry``) and scores with
    ``full_sort_predict``. Where methods beside the constructor set attributes, it first runs ``pre_epoch_processing``
    and ``calculate_loss`` on a batch, in evaluation mode and without a gradient: many models score from what
    the last batch left, which would be of the training view, and not in a checkpoint.

    Random numbers of torch, NumPy and Python are seeded for each epoch, and for each model that is built.
    """

    class Settings(MethodSettings):
        """A model that was published as one file for MMRec. Its code runs only if RECMM_TRUST names the file or its
        folder.
        """

        file: str | None = hp(None, "path of the model file; needed")
        config: str | None = hp(None, "path of the model's YAML file; null: MMRec's defaults alone")
        overrides: dict[str, Any] = hp({}, "keys of the model's configuration with other values")
        features: dict[str, str] = hp(
            {"v_feat": "visual", "t_feat": "textual", "a_feat": "acoustic"},
            "attribute of the model: modality whose features it holds, None if the dataset lacks it",
        )
        training: MMRecTraining = hp(MMRecTraining(), "null: as model.config says, or else MMRec's default")

        @model_validator(mode="after")
        def _may_run(self) -> "MMRec.Settings":
            if self.file is not None:
                refuse_file(Path(self.file))
            if self.config is not None and not Path(self.config).is_file():
                raise ConfigError(f"model.config={self.config}: there is no such file.")
            return self

    settings: Settings
    in_batch_losses = True  # nothing is known of its terms

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s = self.settings
        self.source = ModelFile(self.sources(vars(s))["file"])
        config = compose(None if s.config is None else Path(s.config), s.overrides)
        training = resolved(s.training, config)
        self.settings = s.model_copy(update={"training": training})
        config |= {
            "learning_rate": training.lr,
            "weight_decay": training.weight_decay,
            "train_batch_size": training.batch_size,
            "seed": training.seed,
            "model": self.source.model.__name__,
        }
        self.config = config
        self.n_negatives = 1 if config["use_neg_sampling"] else 0
        self.trained = bool(config["req_training"])  # type: ignore[misc]
        self.given = {name: modality for name, modality in s.features.items() if modality in catalog.modalities}
        if not self.given and config["is_multimodal_model"] and not config["end2end"]:
            raise ConfigError(
                f"{self.source.model.__name__} takes features, but the run has none of "
                f"{', '.join(s.features.values())}, only {', '.join(catalog.modalities)}: name one with "
                f"model.features.v_feat={catalog.modalities[0]}."
            )
        if hasattr(self.source.model, "init_mi_estimator"):
            raise ConfigError(
                f"model.file={s.file} trains with several optimisers, which the adapter does not support."
            )
        self.inner: Any = None
        self._built: Built | None = None
        self._pending: Mapping[str, Any] | None = None
        self._carried: tuple[str, bool] | None = None
        self.register_buffer("row_starts", row_starts(catalog.train_users, catalog.n_users), persistent=False)
        self.register_buffer("train_items", catalog.train_items, persistent=False)

    @classmethod
    def sources(cls, values: Mapping[str, Any]) -> dict[str, Path]:
        if values.get("file") is None:
            raise ConfigError("model.file needs a value: give the path of a model file with model.file=...")
        return {name: Path(values[name]) for name in ("file", "config") if values.get(name) is not None}

    # ------------------------------------------------------------------ building

    def _build(self, view: ModalityView) -> Built:
        device = view.mask.device
        model: Any = self.source.model
        config = Config({key: _copied(value) for key, value in self.config.items()} | {"device": device})
        takes_a_time = len(inspect.signature(model).parameters) > 2
        folder = make_folder(config, self.source.text, self.catalog, self.given, view, below_cwd=takes_a_time)
        features = {name: view.features[modality].float() for name, modality in self.given.items()}
        more = ("0",) if takes_a_time else ()
        with torch.inference_mode(False), torch.enable_grad(), self._around(device), self._drawing("initialisation"):
            built = model(config, TrainLoader(self.catalog, features), *more).to(device)
        for part in built.modules():
            kinds = [kind.__name__ for kind in type(part).__mro__]
            moved = {name for kind in kinds for name in self.source.moved_parameters.get(kind, ())}
            later = {name for kind in kinds for name in self.source.reassigned.get(kind, ())}
            for name in moved & later & set(part._parameters):
                # On the CPU Parameter(...).to(device) is a parameter, to which no result can be assigned.
                value = part._parameters.pop(name)
                setattr(part, name, None if value is None else value.detach())
        return Built(built, view, folder)

    def _start_from(self, view: ModalityView) -> None:
        self._built = self._build(view)
        self.inner = self._built.model
        if self._pending is not None:
            self.load_state_dict(self._pending)

    def setup(self, stage: str) -> None:
        if self._built is None:
            datamodule: Any = self.trainer.datamodule  # type: ignore[attr-defined]
            self._start_from(datamodule.view("train").to(self.trainer.strategy.root_device))
        super().setup(stage)

    def _around(self, device: torch.device) -> Any:
        return self.source.running(device)

    @contextmanager
    def _drawing(self, purpose: str) -> Iterator[None]:
        """Random numbers from the run's seed; afterwards all generators are where they were."""
        python, array = random.getstate(), np.random.get_state()
        with torch.random.fork_rng(range(torch.cuda.device_count())):
            _seed_all(self.settings.training.seed, 0, purpose)
            try:
                yield
            finally:
                random.setstate(python)
                np.random.set_state(array)

    # ------------------------------------------------------------------ training

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        if self._built is None:
            self._start_from(view)
        _seed_all(self.settings.training.seed, epoch, "method")
        self.inner.train(epoch == 0)  # as MMRec's trainer leaves it
        with self._around(view.mask.device):
            self.inner.pre_epoch_processing()
        self.inner.train()

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        if self._built is None:
            self._start_from(view)
        with self._around(view.mask.device):
            found = self.inner.calculate_loss(_interaction(batch))
        parts = found if isinstance(found, tuple) else (found,)
        names = [f"loss_{n}" for n in range(1, len(parts) + 1)] if isinstance(found, tuple) else ["loss"]
        if not all(isinstance(part, Tensor) and part.numel() == 1 for part in parts):
            name = self.source.model.__name__
            raise ConfigError(f"calculate_loss of {name} has to return a tensor of one number, or a tuple of such.")
        return {name: part.reshape(()) for name, part in zip(names, parts, strict=True)}

    def on_train_epoch_end(self) -> None:
        with self._around(self.device):
            self.inner.post_epoch_processing()
        super().on_train_epoch_end()

    # ------------------------------------------------------------------ scoring

    def prepare(self, view: ModalityView) -> Built:
        """The model that scores under this view."""
        return self._build(view)

    def _start_evaluation(self) -> None:
        super()._start_evaluation()
        self._carried = None

    def score(self, users: Tensor, view: ModalityView) -> Tensor:
        if self._built is None:
            self._start_from(view)
        model: Any = self._scorer(view).model
        with torch.inference_mode(False), torch.no_grad(), self._around(view.mask.device):
            scores: Tensor = model.full_sort_predict(self._queries(users.clone()))
        if tuple(scores.shape) != (len(users), self.catalog.n_items):
            raise ConfigError(
                f"full_sort_predict of {self.source.model.__name__} has to return scores "
                f"[{len(users)}, {self.catalog.n_items}]; got {list(scores.shape)}."
            )
        return scores.detach().float().clone()

    def _queries(self, users: Tensor) -> list[Tensor]:
        """The users, and their training items, LongTensor [2, n]: row among the users, item."""
        starts, items = self.get_buffer("row_starts"), self.get_buffer("train_items")
        sizes = starts[users + 1] - starts[users]
        rows = torch.arange(len(users), device=users.device).repeat_interleave(sizes)
        places = torch.arange(len(rows), device=users.device) + (starts[users] - (sizes.cumsum(0) - sizes))[rows]
        return [users, torch.stack([rows, items[places]])]

    def _scorer(self, view: ModalityView) -> Built:
        """The view's model with what training has learnt so far; brought up to date once an evaluation."""
        scorer: Built = self.prepared(view)
        if self._carried == (view.digest, self._evaluating) and self._evaluating:
            return scorer
        assert self._built is not None
        kinds = {kind.__name__ for part in scorer.model.modules() for kind in type(part).__mro__}
        model: Any = scorer.model
        with torch.inference_mode(False), self._around(view.mask.device), self._drawing("scoring"):
            scorer.restore_attributes()
            carry(self._built, scorer, self.given)
            model.eval()
            if any(self.source.reassigned.get(kind) for kind in kinds):
                with torch.enable_grad():
                    model.pre_epoch_processing()
                carry(self._built, scorer, self.given)  # in case that it has made steps of its own
                model.eval()
                with torch.no_grad():
                    model.calculate_loss(_interaction(self._first_pairs(view.mask.device)))
        self._carried = view.digest, self._evaluating
        return scorer

    def _first_pairs(self, device: torch.device) -> Pairs:
        """Some training pairs with items drawn at random; what is computed from them is thrown away."""
        n = min(self.settings.training.batch_size or 1, len(self.catalog.train_users))
        negatives = torch.randint(self.catalog.n_items, (n if self.n_negatives else 0,))
        pairs = (self.catalog.train_users[:n], self.catalog.train_items[:n], negatives)
        return Pairs(*(x.to(device) for x in pairs))

    # ------------------------------------------------------------------ checkpoints

    def deployable(self, view: ModalityView) -> dict[str, Tensor]:
        """Nothing: only the model file tells how to score."""
        return {}

    def get_extra_state(self) -> dict[str, Any]:
        """Numbers and tensors that the model keeps in plain attributes, such as averages over batches."""
        return {} if self._built is None else self._built.changed_attributes()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        if self._built is not None:
            self._built.set_attributes(state)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As of any module; before the model is built, which needs a view, the state is kept until then."""
        if self._built is None:
            self._pending = state_dict
            return torch.nn.modules.module._IncompatibleKeys([], [])
        self._pending = None
        return super().load_state_dict(state_dict, strict=strict, assign=assign)


def _interaction(batch: Pairs) -> Tensor:
    """A new LongTensor [3, B], as models write into it; [2, B] without negatives."""
    columns = [batch.users, batch.positives, batch.negatives]
    return torch.stack(columns if len(batch.negatives) else columns[:2])


def _copied(value: Any) -> Any:
    return list(value) if isinstance(value, list) else dict(value) if isinstance(value, dict) else value


def _seed_all(seed: int, epoch: int, purpose: str) -> None:
    seed_torch(seed, epoch, purpose)
    random.seed(derive(seed, epoch, f"python {purpose}"))
    np.random.seed(derive(seed, epoch, f"numpy {purpose}") % 2**32)
