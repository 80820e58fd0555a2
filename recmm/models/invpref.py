"""InvPref (Wang et al., KDD 2022): invariant preferences from environments that it finds."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.batches.sampling import static_negatives
from recmm.data.catalog import Catalog
from recmm.losses import mean_absolute, mean_square
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.gradient_reversal import reverse_gradient
from recmm.nn.rows import select
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
    """

    class Settings(MethodSettings):
        """Defaults start from the released values for Yahoo, with implicit feedback, but norm twice as much, norm the
        environments too and leave out the share weights; invpref_code has all as released.

        There are no released values for our datasets, and those of other datasets differ widely: search the weights
        (over decades), n_environments (2, 4) and lr on validation.
        """

        dim: int = hp(40, "d, width of all embeddings", ge=1)
        n_environments: int = hp(2, "E, environments", ge=2, le=256)
        invariant: float = hp(3.35, "c1, weight of the invariant prediction's cross-entropy", ge=0)
        env_aware: float = hp(9.99, "c2, weight of the environment-aware prediction's cross-entropy", ge=0)
        classifier: float = hp(9.06, "c3, weight of guessing the environment, whose gradient is reversed", ge=0)
        l2: float = hp(3.14, "c4, weight of the batch's mean squares; released code: of their half", ge=0)
        l1: float = hp(0.49, "c5, weight of the batch's mean absolute values; released code: of their half", ge=0)
        regularize_environments: bool = hp(
            True, "the two norms include the environments' embeddings; released for Yahoo: false"
        )
        alpha: float = hp(1.905, "factor of the reversed gradient", ge=0)
        ramp_epochs: int = hp(
            0,
            "epochs over which alpha is reached: in epoch n it is alpha (2 / (1 + exp(-10 p)) - 1) with p = n / "
            "ramp_epochs up to 1; 0: at once. With alpha = 1 and all epochs, this is the released code's None",
            ge=0,
        )
        share_weights: bool = hp(
            False,
            "a sample's term of guessing the environment counts as much as its environment's share of all samples; "
            "released for Yahoo: true",
        )
        cluster_interval: int = hp(5, "epochs between two assignments of the samples to environments", ge=1)
        n_negatives: int = hp(1, "negatives of each training pair, the same over the whole run", ge=1)
        training: Training = hp(
            Training(lr=5e-3, batch_size=4096), "pairs in a batch, each with its negatives; Yahoo: 8192 samples"
        )

    settings: Settings
    uses_modalities = False
    negatives = "static"
    CHUNK = 65_536
    """Training pairs that are assigned at once."""

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s = self.settings
        self.n_negatives = s.n_negatives
        self.users_inv, self.users_env = _table(catalog.n_users, s.dim), _table(catalog.n_users, s.dim)
        self.items_inv, self.items_env = _table(catalog.n_items, s.dim), _table(catalog.n_items, s.dim)
        self.environment_table = _table(s.n_environments, s.dim)
        self.classifier = nn.Linear(s.dim, s.n_environments)

        # One row per training pair; column 0 is the pair itself, its negatives follow.
        generator = torch.Generator().manual_seed(derive(s.training.seed, 0, "environments"))
        shape = (len(catalog.train_users), 1 + s.n_negatives)
        drawn = torch.randint(s.n_environments, shape, generator=generator)
        self.register_buffer("environments", drawn.to(torch.uint8))
        self.register_buffer("shares", _shares(self.environments, s.n_environments), persistent=False)
        self.environments: Tensor
        self.shares: Tensor
        self.reversal = s.alpha

    def represent(self, view: ModalityView) -> Embeddings:
        return Embeddings(self.users_inv, self.items_inv)

    # ------------------------------------------------------------------ the objective

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        s = self.settings
        items = torch.cat([batch.positives[:, None], batch.negatives.reshape(len(batch.users), -1)], 1)
        environments = self.environments[batch.rows].long()  # like the items [B, 1 + n_negatives]
        y = _targets(items)
        u_inv, u_env = (select(table, batch.users[:, None]) for table in (self.users_inv, self.users_env))
        i_inv, i_env = (select(table, items) for table in (self.items_inv, self.items_env))
        e = select(self.environment_table, environments)
        p = u_inv * i_inv
        inv, env = p.sum(2), (u_env * i_env * e).sum(2)
        guessed = self.classifier(reverse_gradient(p, self.reversal))  # [B, 1 + n_negatives, E]
        nll = F.cross_entropy(guessed.flatten(0, 1), environments.flatten(), reduction="none")
        if s.share_weights:
            nll = nll * self.shares[environments.flatten()]
        normed = [u_inv, i_inv, u_env, i_env] + ([e] if s.regularize_environments else [])
        return {
            "invariant": s.invariant * F.binary_cross_entropy_with_logits(inv, y),
            "env_aware": s.env_aware * _product_bce(inv, env, y).mean(),
            "classifier": s.classifier * nll.mean(),
            "l2": s.l2 * mean_square(*normed),
            "l1": s.l1 * mean_absolute(*normed),
        }

    # ------------------------------------------------------------------ the environments

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        """Assign the samples anew if it is time; the shares and alpha follow from (environments, epoch)."""
        moved = 0.0
        if epoch and epoch % self.settings.cluster_interval == 0:
            assigned = self.assign()
            moved = float((assigned != self.environments).float().mean())
            self.environments.copy_(assigned)
        self.shares.copy_(_shares(self.environments, self.settings.n_environments))
        self.reversal = self.settings.alpha
        if self.settings.ramp_epochs:
            self.reversal *= 2 / (1 + math.exp(-10 * min(1.0, epoch / self.settings.ramp_epochs))) - 1
        self.report({"environments_moved": moved, "environments_greatest": float(self.shares.max())})

    def samples(self) -> tuple[Tensor, Tensor]:
        """Users [n_train] and items [n_train, 1 + n_negatives] of all samples, as the batches of the run have them."""
        catalog, s = self.catalog, self.settings
        negatives = static_negatives(catalog, s.n_negatives, s.training.seed)
        items = torch.cat([catalog.train_items[:, None], negatives], 1)
        return catalog.train_users.to(self.device), items.to(self.device)

    @torch.no_grad()
    def assign(self) -> Tensor:
        """The environment of every sample in which BCE(y_env, y) is least, uint8 [n_train, 1 + n_negatives].

        Ties are broken with torch's global generator.
        """
        assigned = []
        for users, items in zip(*(part.split(self.CHUNK) for part in self.samples()), strict=True):
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
