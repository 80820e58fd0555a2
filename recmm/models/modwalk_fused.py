"""ModWalk fused with a trained backbone (ours): logarithms of the walk plus inner products of embeddings."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.modwalk import ModWalk
from recmm.models.settings import hp
from recmm.models.stages import Stage
from recmm.models.training import Training
from recmm.settings import suggestion


def trainable_methods() -> dict[str, type[Recommender]]:
    """The methods that represent users and items by trained embeddings, by the names of their files."""

    def below(kind: type[Recommender]) -> Iterator[type[Recommender]]:
        for sub in kind.__subclasses__():
            yield sub
            yield from below(sub)

    found = [m for m in below(Recommender) if m.trained and m.represent is not Recommender.represent]
    return {m.__module__.rpartition(".")[2]: m for m in found if not issubclass(m, ModWalkFused)}


class ModWalkFused(ModWalk):
    """f_ui = log(s_ui / (eps max_i s_ui) + 1) + w <e_u, e_i> / std_i <e_u, e_i>, with s of ``ModWalk``.

    e are the embeddings of a backbone, which is trained as it is alone: its losses, its stages, the same random draws.
    The walk has no part in the training; validation ranks f, so that the best epoch is that of the fusion. A user
    without training interactions has no embedding worth the name: there w is 0.

    The logarithm makes both parts relative: an item with half the score of another loses log 2, wherever in the list
    they are. eps bounds what the smallest scores can lose, to -log eps. Sums of logarithms are products of scores, the
    logarithmic opinion pool (Genest and Zidek, Statistical Science 1986); the fusion of a walk's scores and of
    standardised inner products in that form is our own.
    """

    class Settings(ModWalk.Settings):
        """The walk's keys are those of modwalk.yaml."""

        backbone: str = hp("lightgcn", "a trained method with embeddings, by its name among the choices of `model`")
        backbone_settings: dict[str, Any] = hp(
            {}, "the backbone's hyper-parameters that differ from its own defaults; `training` below is its training"
        )
        backbone_weight: float = hp(0.1, "w, of the backbone's standardised inner products; 0: the walk's order", ge=0)
        eps: float = hp(1e-3, "share of a user's largest score below which the walk tells items apart less", gt=0)
        training: Training = hp(Training(), "of the backbone")

    settings: Settings
    trained = True

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s, methods = self.settings, trainable_methods()
        if s.backbone not in methods:
            raise ConfigError(
                f"model.backbone: {s.backbone!r} is no trained method with embeddings{suggestion(s.backbone, methods)}"
            )
        try:
            self.backbone = methods[s.backbone](catalog, training=s.training, **s.backbone_settings)
        except ConfigError as error:
            raise ConfigError(str(error).replace("model.", "model.backbone_settings.", 1)) from None
        self.n_negatives, self.negatives = self.backbone.n_negatives, self.backbone.negatives
        self.in_batch_losses = self.backbone.in_batch_losses

    # ------------------------------------------------------------------ training, the backbone's own

    def stages(self) -> list[Stage]:
        return self.backbone.stages()

    def main_parameter_groups(self) -> list[dict[str, Any]]:
        return self.backbone.main_parameter_groups()

    def _enter_stage(self) -> None:
        super()._enter_stage()
        self.backbone._schedule, self.backbone._running = self._schedule, self._running

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        self.backbone._reported = self._reported  # one mapping: what the backbone reports is reported here
        self.backbone.start_epoch(epoch, view)

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        return self.backbone.losses(batch, view)

    # ------------------------------------------------------------------ ranking

    def represent(self, view: ModalityView) -> Embeddings:
        return self.backbone.represent(view)

    def score(self, users: Tensor, view: ModalityView) -> Tensor:
        products = Recommender.score(self, users, view)
        weight = self.settings.backbone_weight * self._has_history(self.get_buffer("row_starts"), users)
        return fused(super().score(users, view), products, weight, self.settings.eps)

    @staticmethod
    def _has_history(row_starts: Tensor, users: Tensor) -> Tensor:
        """1 for users with training interactions, 0 for others: float [B, 1]."""
        return (row_starts[users + 1] > row_starts[users]).float()[:, None]

    def deployable(self, view: ModalityView) -> dict[str, Tensor]:
        """What ``ModWalk`` stores; users [n_users, d] and items [n_items, d]; fusion: w and eps, float64 [2]."""
        s, embeddings = self.settings, Recommender.deployable(self, view)
        fusion = torch.tensor([s.backbone_weight, s.eps], dtype=torch.float64)
        return super().deployable(view) | embeddings | {"fusion": fusion}

    @classmethod
    def deployed_scores(cls, deployed: Mapping[str, Tensor], users: Tensor) -> Tensor:
        embeddings = Embeddings(deployed["users"], deployed["items"])
        weight, eps = deployed["fusion"].tolist()
        products = cls._inner_products(users, embeddings)
        weights = weight * cls._has_history(deployed["row_starts"], users)
        return fused(super().deployed_scores(deployed, users), products, weights, eps)


def fused(walked: Tensor, products: Tensor, weight: Tensor, eps: float) -> Tensor:
    """f from s and <e_u, e_i>, [B, n_items] each, and w of every user, [B, 1].

    Users whose products are all alike, and users of weight 0, are ranked by ``walked``.
    """
    largest = walked.amax(1, keepdim=True).clamp_min(torch.finfo(walked.dtype).tiny)
    spread = products.std(1, keepdim=True, correction=0)
    return torch.log1p(walked / (eps * largest)).addcmul_(products, torch.where(spread > 0, weight / spread, 0.0))
