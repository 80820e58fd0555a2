"""InvRL (Du et al., MM 2022): features that keep their meaning across environments found in the interactions."""

from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.losses import squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.stages import Stage
from recmm.models.training import Training
from recmm.nn.rows import unit_rows
from recmm.settings import ComponentSettings


class Search(ComponentSettings):
    """The rounds in which environments and invariant features are found. The released schedule takes hours."""

    key: ClassVar[str] = "model.search"

    n_environments: int = hp(5, "E; released code 10", ge=2, le=256)
    rounds: int = hp(2, "how often environments are found and features learnt from them; released code 5", ge=0)
    assignments: int = hp(3, "assignments of all pairs in a round; released code: until < 1 % move, at most 10", ge=1)
    epochs: int = hp(5, "epochs of the environments' maps before each assignment; released code 20", ge=1)
    invariant_epochs: int = hp(10, "epochs of learning invariant features in a round; released code 40", ge=1)
    alpha: float = hp(1.0, "weight of the penalty on what differs between environments; no value is known", ge=0)
    gate_l2: float = hp(1e-3, "lambda, weight of ||mu||^2; no value is known", ge=0)
    growth: float = hp(1.05, "factor on alpha and lambda from round to round; released code 1.05", gt=0)
    noise: float = hp(0.01, "standard deviation of the gates' noise; released code .01", ge=0)


class InvRL(Recommender):
    """A score is u . [v ‖ W (x * gate)], x the item's features, rows of unit length per modality, side by side.

        loss of a pair = w_ui BCE(s_ui, 1) + mean over negatives j of w_uj BCE(s_uj, 0),  w_ui = 1 + beta_u beta_i
        beta_u = sqrt(d_u + 1) / d_u,  beta_i = 1 / sqrt(d_i + 1)                     (UltraGCN, d the degrees)
        L = mean over the batch + (id_l2 (||U||^2 + ||V||^2) + content_l2 ||W||^2) / 2B
        gate = clamp(mu + 1/2, 0, 1),  mu = 0 at first

    Stages, of which the last alone ranks:

        pretraining     L
        environments    every pair is in one of E environments, at random at first. Maps W_e, which begin as W, are
                        trained on their own pairs, all else fixed; then every pair goes to the environment that scores
                        it highest. This is repeated.
        invariance      mean_e L_e + alpha / B sum((sum_e (g_e - mean g)^2 * (mu + 1/2))^2) + lambda ||mu||^2, and the
                        norms; L_e the loss of the environment's pairs, g_e = B dL_e / dW, normal noise on the gates.
                        The two stages come again ``rounds`` times.
        main            L again, from new U, V, W and with the gates as they are

    The released code sums over a batch; here everything is divided by B, which Adam does not see. It stops a round's
    assignments where under 1 % of the pairs move; a stage's length is fixed here, and what moved is reported. W has no
    bias, so that an item without features has no content. An environment without pairs in a batch is left out of it.
    """

    class Settings(MethodSettings):
        """A fast schedule of about 50 epochs before the last stage; every stage takes at most trainer.max_epochs."""

        dim: int = hp(64, "width of the users' and items' own factors; released code 64", ge=1)
        content_dim: int = hp(64, "width of W x and of the users' factors for it; released code 64", ge=1)
        n_negatives: int = hp(50, "negatives of each pair; released code 50", ge=1)
        id_l2: float = hp(1e-4, "weight of the tables' norms over all rows; released code 1e-4", ge=0)
        content_l2: float = hp(1e-2, "weight of W's norm; released code 1e-2", ge=0)
        pretrain: int = hp(10, "epochs of pretraining; released code: to convergence", ge=0)
        search: Search = hp(Search(), "how environments and gates are found")
        training: Training = hp(Training(lr=1e-2), "released code: Adam, lr 1e-3, batches of 512")

    settings: Settings
    in_batch_losses = True

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s, width = self.settings, sum(catalog.dims.values())
        self.n_negatives = s.n_negatives
        self.users = nn.Parameter(torch.empty(catalog.n_users, s.dim + s.content_dim))  # U
        self.items = nn.Parameter(torch.empty(catalog.n_items, s.dim))  # V
        self.weight = nn.Parameter(torch.empty(s.content_dim, width))  # W
        self.start_over()
        self.gates = nn.Parameter(torch.zeros(width))  # mu
        self.maps = nn.Parameter(self.weight.detach().repeat(s.search.n_environments, 1, 1))  # W_e
        self.register_buffer("environments", torch.zeros(len(catalog.train_users), dtype=torch.uint8))
        d_u, d_i = catalog.user_counts().float(), catalog.item_counts().float()
        self.register_buffer("beta_users", (d_u + 1).sqrt() / d_u.clamp_min(1), persistent=False)
        self.register_buffer("beta_items", (d_i + 1).rsqrt(), persistent=False)
        self.environments: Tensor
        self.beta_users: Tensor
        self.beta_items: Tensor

    def prepare(self, view: ModalityView) -> Tensor:
        """x of all items, [n_items, sum of D_m]."""
        return torch.cat([unit_rows(x) for x in view.features.values()], 1)

    # ------------------------------------------------------------------ stages

    def stages(self) -> list[Stage]:
        s = self.settings.search
        plan = [Stage("pretraining", self.settings.pretrain, parameters=self.recommender, ranks=False)]
        for number in range(s.rounds):
            find, learn = self.environment_losses, partial(self.invariant_losses, number)
            n_epochs, start = s.assignments * s.epochs, self.start_environments
            plan.append(Stage("environments", n_epochs, find, lambda: [self.maps], ranks=False, start=start))
            plan.append(Stage("invariance", s.invariant_epochs, learn, self.with_gates, ranks=False))
        return [*plan, Stage(parameters=self.recommender, start=self.start_over)]

    def recommender(self) -> list[nn.Parameter]:
        return [self.users, self.items, self.weight]

    def with_gates(self) -> list[nn.Parameter]:
        return [*self.recommender(), self.gates]

    def start_over(self) -> None:
        for p in self.recommender():
            nn.init.normal_(p, std=0.01)

    @torch.no_grad()
    def start_environments(self) -> None:
        self.maps.copy_(self.weight)
        drawn = torch.randint(len(self.maps), self.environments.shape, device=self.environments.device)
        self.environments.copy_(drawn)

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        """Assigns the pairs anew every ``epochs`` epochs of a stage that finds environments, and at its end."""
        name, n = self.stage.name, self.stage_epoch
        if (name == "environments" and n and n % self.settings.search.epochs == 0) or (name == "invariance" and not n):
            assigned = self.assign(view)
            self.report({"environments_moved": float((assigned != self.environments).float().mean())})
            self.environments.copy_(assigned)

    @torch.no_grad()
    def assign(self, view: ModalityView) -> Tensor:
        """The environment that scores each training pair highest, uint8 [n_train]; the first one of equals."""
        catalog = self.catalog
        users = self.users[:, self.settings.dim :]
        maps = (self.gated(view, self.gate()) @ weight.T for weight in self.maps)
        pairs = catalog.train_users.to(self.device), catalog.train_items.to(self.device)
        scores = [(users[pairs[0]] * content[pairs[1]]).sum(1) for content in maps]
        return torch.stack(scores, 1).argmax(1).to(torch.uint8)

    # ------------------------------------------------------------------ scores

    def gate(self, noise: float = 0.0) -> Tensor:
        """[sum of D_m], in 0..1."""
        return (self.gates + 0.5 + noise * torch.randn_like(self.gates)).clamp(0, 1)

    def gated(self, view: ModalityView, gate: Tensor) -> Tensor:
        """x * gate of all items."""
        x: Tensor = self.prepared(view)
        return x * gate

    def represent(self, view: ModalityView) -> Embeddings:
        return Embeddings(self.users, torch.cat([self.items, self.gated(view, self.gate()) @ self.weight.T], 1))

    # ------------------------------------------------------------------ objectives

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        content = self.gated(view, self.gate().detach()) @ self.weight.T
        return {"pairs": self.of_pairs(self.logits(batch, content), batch).mean(), **self.norms()}

    def logits(self, batch: Pairs, content: Tensor) -> Tensor:
        """Scores of every pair's item and its negatives, [B, 1 + k], from W (x * gate) of all items."""
        table = torch.cat([self.items, content], 1)
        return products(self.users.index_select(0, batch.users), table, candidates(batch))

    def weights(self, batch: Pairs) -> tuple[Tensor, Tensor]:
        """Of every pair's item and its negatives, w or w / k, and the sign of a softplus's argument, [B, 1 + k]."""
        items = candidates(batch)
        w = 1 + self.beta_users[batch.users][:, None] * self.beta_items[items]
        is_first = torch.arange(items.shape[1], device=w.device) == 0
        return w / torch.where(is_first, 1, items.shape[1] - 1), torch.where(is_first, -1.0, 1.0).expand_as(w)

    def of_pairs(self, logits: Tensor, batch: Pairs) -> Tensor:
        """Loss of every pair, [B]."""
        weights, signs = self.weights(batch)
        return (weights * F.softplus(signs * logits)).sum(1)

    def norms(self) -> dict[str, Tensor]:
        s, size = self.settings, self.batch_size
        return {
            "id_l2": s.id_l2 * squared_l2(self.users, self.items, batch_size=size),
            "content_l2": s.content_l2 * squared_l2(self.weight, batch_size=size),
        }

    def environment_losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        """Sum over the environments of the mean loss of their pairs, for W_e alone."""
        n_environments, items = len(self.maps), candidates(batch)
        with torch.no_grad():
            users, content_users = self.users.index_select(0, batch.users).tensor_split([self.settings.dim], 1)
            fixed, x = products(users, self.items, items), self.gated(view, self.gate())
        environments = self.environments[batch.rows].long()
        content = (x @ self.maps.flatten(0, 1).T).unflatten(1, (n_environments, -1)).flatten(0, 1)
        own = items * n_environments + environments[:, None]  # rows of the item's content in the pair's environment
        losses = self.of_pairs(fixed + products(content_users, content, own), batch)
        return {"environments": (losses @ shares(environments, n_environments)).sum()}

    def invariant_losses(self, number: int, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        """Of the ``number``-th round, from 0."""
        s, size, gate = self.settings.search, self.batch_size, self.gate(self.settings.search.noise)
        logits = self.logits(batch, self.gated(view, gate) @ self.weight.T)
        of_pair = shares(self.environments[batch.rows].long(), s.n_environments)
        present = of_pair.any(0).to(logits.dtype)
        g, n_present = size * self.gradients(logits, of_pair, gate, batch, view), present.sum()
        spread = (present[:, None, None] * (g - g.sum(0) / n_present).square()).sum(0)
        penalty = (spread * (self.gates + 0.5)).square().sum() / size
        growth = s.growth**number
        return {
            "pairs": (self.of_pairs(logits, batch) @ of_pair).sum() / n_present,
            "invariance": s.alpha * growth * penalty,
            "gate_l2": s.gate_l2 * growth * self.gates.square().sum(),
            **self.norms(),
        }

    def gradients(self, logits: Tensor, of_pair: Tensor, gate: Tensor, batch: Pairs, view: ModalityView) -> Tensor:
        """dL_e / dW of every environment, [E, content_dim, sum of D_m], from the pairs' shares in L_e [B, E].

        In closed form, so that no backward pass has to be differentiated: the slope of a score times u x^T, summed.
        """
        weights, signs = self.weights(batch)
        slopes = weights * signs * (signs * logits).sigmoid()
        x: Tensor = self.prepared(view)
        sums = F.embedding_bag(candidates(batch), x, per_sample_weights=slopes, mode="sum") * gate
        users = self.users.index_select(0, batch.users)[:, self.settings.dim :]
        return torch.einsum("be,bc,bd->ecd", of_pair, users, sums)


def candidates(batch: Pairs) -> Tensor:
    """The item of every pair, then its negatives: int64 [B, 1 + k]."""
    return torch.cat([batch.positives[:, None], batch.negatives.reshape(len(batch.users), -1)], 1)


def products(users: Tensor, table: Tensor, rows: Tensor) -> Tensor:
    """users [B, d] . rows of ``table`` [n, d], int64 [B, k] -> [B, k]."""
    gathered = table.index_select(0, rows.flatten()).unflatten(0, rows.shape)
    return (gathered @ users[:, :, None])[:, :, 0]


def shares(groups: Tensor, n_groups: int) -> Tensor:
    """groups int64 [n] -> [n, n_groups], with which the means of the groups are values [n] @ shares; 0 if empty."""
    members = F.one_hot(groups, n_groups).float()
    return members / members.sum(0).clamp_min(1)
