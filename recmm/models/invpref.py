"""InvPref (Wang et al., KDD 2022): invariant preferences from environments that it finds. methods.md section 7.13."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.batches.sampling import static_negatives
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.losses import mean_absolute, mean_square
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.checks import check_lowest
from recmm.models.training import Training
from recmm.nn.gradient_reversal import reverse_gradient
from recmm.seeding import derive


class InvPref(Recommender):
    """Every sample belongs to an environment; what ranks is the part of a preference that tells nothing of it.

    A sample is a training pair (y = 1) or one of its negatives (y = 0). With p = u_inv * i_inv element by element and
    e the sample's environment:

        y_inv = sigmoid(sum p),  y_env = y_inv sigmoid(sum u_env * i_env * env_e)
        loss = c1 BCE(y_inv, y) + c2 BCE(y_env, y) + c3 NLL(classifier(p), e) + c4 L2 + c5 L1

    The gradient of the third term is reversed, and multiplied by alpha, where it enters p. Environments are drawn at
    random at the start; every ``cluster_interval`` epochs each sample goes to the one with the least BCE(y_env, y). As
    they are attached to samples, the negatives are drawn once for the whole run; the environments travel in the
    checkpoint. Evaluation ranks by y_inv, which is by u_inv . i_inv.

    Where the source leaves a choice: L2 and L1 are means over the elements of the batch's rows, summed over the tables;
    among equal environments one is taken at random; a pair and its negatives are in the same batch.

    Args:
        dim: d, width of all embeddings.
        n_environments: E.
        invariant: c1. env_aware: c2. classifier: c3.
        l2, l1: c4, c5, weights of the batch's mean squares and mean absolute values.
        regularize_environments: whether these norms include the environments' embeddings.
        alpha: factor of the reversed gradient.
        ramp_epochs: 0, or over how many epochs alpha is reached: in epoch n it is alpha (2 / (1 + exp(-10 p)) - 1) with
            p = n / ramp_epochs up to 1. With alpha = 1 and all epochs, this is the released code's "None".
        share_weights: a sample's NLL counts as much as its environment's share of all samples.
        cluster_interval: epochs between two assignments.
        n_negatives: samples with y = 0 for each with y = 1.
        training: optimiser and batches; ``batch_size`` counts pairs.

    Raises:
        ConfigError: for a value outside its range.
    """

    uses_modalities = False
    uses_negatives = False  # it has its own
    CHUNK = 65_536
    """Training pairs that are assigned at once."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        dim: int = 40,
        n_environments: int = 2,
        invariant: float = 3.35,
        env_aware: float = 9.99,
        classifier: float = 9.06,
        l2: float = 3.14,
        l1: float = 0.49,
        regularize_environments: bool = True,
        alpha: float = 1.905,
        ramp_epochs: int = 0,
        share_weights: bool = False,
        cluster_interval: int = 5,
        n_negatives: int = 1,
        training: Training = Training(),
    ) -> None:
        _check(locals())
        super().__init__(catalog, training)
        self.n_environments, self.cluster_interval = n_environments, cluster_interval
        self.invariant, self.env_aware, self.classifier_weight = invariant, env_aware, classifier
        self.l2, self.l1, self.regularize_environments = l2, l1, regularize_environments
        self.alpha, self.ramp_epochs, self.share_weights = alpha, ramp_epochs, share_weights

        self.users_inv, self.users_env = _table(catalog.n_users, dim), _table(catalog.n_users, dim)
        self.items_inv, self.items_env = _table(catalog.n_items, dim), _table(catalog.n_items, dim)
        self.environment_table = _table(n_environments, dim)
        self.classifier = nn.Linear(dim, n_environments)

        # One row per training pair; column 0 is the pair itself, its negatives follow.
        negatives = static_negatives(catalog, n_negatives, training.seed)
        generator = torch.Generator().manual_seed(derive(training.seed, 0, "environments"))
        drawn = torch.randint(n_environments, (len(negatives), 1 + n_negatives), generator=generator)
        keys = catalog.train_users * catalog.n_items + catalog.train_items  # ascending
        self.register_buffer("pair_keys", keys, persistent=False)
        self.register_buffer("sample_items", torch.cat([catalog.train_items[:, None], negatives], 1), persistent=False)
        self.register_buffer("environments", drawn.to(torch.uint8))
        self.register_buffer("shares", _shares(self.environments, n_environments), persistent=False)
        self.pair_keys: Tensor
        self.sample_items: Tensor
        self.environments: Tensor
        self.shares: Tensor
        self.reversal = alpha

    def represent(self, view: ModalityView) -> Embeddings:
        return Embeddings(self.users_inv, self.items_inv)

    # ------------------------------------------------------------------ the objective

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        rows = self.rows_of(batch)
        items, environments = self.sample_items[rows], self.environments[rows].long()  # [B, 1 + n_negatives] each
        y = _targets(items)
        u_inv, u_env = self.users_inv[batch.users][:, None], self.users_env[batch.users][:, None]
        i_inv, i_env = self.items_inv[items], self.items_env[items]
        e = self.environment_table[environments]
        p = u_inv * i_inv
        inv, env = p.sum(2), (u_env * i_env * e).sum(2)
        guessed = self.classifier(reverse_gradient(p, self.reversal))  # [B, 1 + n_negatives, E]
        nll = F.cross_entropy(guessed.flatten(0, 1), environments.flatten(), reduction="none")
        if self.share_weights:
            nll = nll * self.shares[environments.flatten()]
        normed = [u_inv, i_inv, u_env, i_env] + ([e] if self.regularize_environments else [])
        return {
            "invariant": self.invariant * F.binary_cross_entropy_with_logits(inv, y),
            "env_aware": self.env_aware * _product_bce(inv, env, y).mean(),
            "classifier": self.classifier_weight * nll.mean(),
            "l2": self.l2 * mean_square(*normed),
            "l1": self.l1 * mean_absolute(*normed),
        }

    def rows_of(self, batch: Pairs) -> Tensor:
        """Where the batch's pairs stand among the training pairs, int64 [B]."""
        return torch.searchsorted(self.pair_keys, batch.users * self.catalog.n_items + batch.positives)

    # ------------------------------------------------------------------ the environments

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        """Assign the samples anew if it is time; the shares and alpha follow from (environments, epoch)."""
        moved = 0.0
        if epoch and epoch % self.cluster_interval == 0:
            assigned = self.assign()
            moved = float((assigned != self.environments).float().mean())
            self.environments.copy_(assigned)
        self.shares.copy_(_shares(self.environments, self.n_environments))
        self.reversal = self.alpha
        if self.ramp_epochs:
            self.reversal *= 2 / (1 + math.exp(-10 * min(1.0, epoch / self.ramp_epochs))) - 1
        self.report({"environments_moved": moved, "environments_greatest": float(self.shares.max())})

    @torch.no_grad()
    def assign(self) -> Tensor:
        """The environment of every sample in which BCE(y_env, y) is least, uint8 [n_train, 1 + n_negatives].

        Ties are broken with torch's global generator.
        """
        assigned = []
        for keys, items in zip(self.pair_keys.split(self.CHUNK), self.sample_items.split(self.CHUNK), strict=True):
            users = keys // self.catalog.n_items
            inv = (self.users_inv[users][:, None] * self.items_inv[items]).sum(2)
            env = (self.users_env[users][:, None] * self.items_env[items]) @ self.environment_table.T
            values = _product_bce(inv[..., None], env, _targets(items)[..., None])  # [chunk, 1 + n_negatives, E]
            least = values == values.amin(2, keepdim=True)
            assigned.append(torch.where(least, torch.rand_like(values), -1.0).argmax(2).to(torch.uint8))
        return torch.cat(assigned)


def _table(n_rows: int, dim: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(n_rows, dim) * 0.01)


def _targets(items: Tensor) -> Tensor:
    """y [n, 1 + n_negatives]: 1 for the pair itself; a user without negatives has the pair's item in their place."""
    return (items == items[:, :1]).float()


def _shares(environments: Tensor, n_environments: int) -> Tensor:
    """Share of each environment in all samples, [E]."""
    return torch.stack([(environments == e).float().mean() for e in range(n_environments)])


def _product_bce(a: Tensor, b: Tensor, y: Tensor) -> Tensor:
    """Binary cross-entropy of sigmoid(a) sigmoid(b) against y, element by element, from logits."""
    log_a = F.logsigmoid(a)
    log_other = torch.logaddexp(F.logsigmoid(-a), log_a + F.logsigmoid(-b))  # 1 - st = (1 - s) + s (1 - t)
    return -(y * (log_a + F.logsigmoid(b)) + (1 - y) * log_other)


def _check(values: dict[str, Any]) -> None:
    """Raises ConfigError for a keyword of InvPref that is out of range."""
    lowest = {"dim": 1, "n_environments": 2, "invariant": 0, "env_aware": 0, "classifier": 0, "l2": 0, "l1": 0}
    check_lowest(values, lowest | {"alpha": 0, "ramp_epochs": 0, "cluster_interval": 1, "n_negatives": 1})
    if values["n_environments"] > 256:
        raise ConfigError(f"model.n_environments must be at most 256; got {values['n_environments']}.")
