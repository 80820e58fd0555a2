"""A toy method with a stage on items, a second one against a critic, and noise: what staged methods ask of the base."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.missing.view import ModalityView
from recmm.models.lightgcn import LightGCN
from recmm.models.settings import hp
from recmm.models.stages import Items, Opponent, Stage


class Staged(LightGCN):
    """LightGCN whose IDs a generator imitates from features; a critic tells IDs from what is generated."""

    class Settings(LightGCN.Settings):
        pretrain: int = hp(2, "epochs of the generator alone", ge=0)
        noise: float = hp(0.1, "standard deviation of what is added to the features", ge=0)

    settings: Settings
    uses_modalities = True

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        dim = self.settings.dim
        self.generator = nn.Linear(next(iter(catalog.dims.values())), dim)
        self.critic = nn.Linear(dim, 1)

    def stages(self) -> list[Stage]:
        critic = Opponent(self.critic.parameters, self.critic_losses, lambda p: torch.optim.Adam(p, 0.01))
        generator = self.generator.parameters
        return [
            Stage("generation", self.settings.pretrain, self.generation, generator, 0.01, Items(32), ranks=False),
            Stage("joint", opponents={"critic": critic}, start=self.start_joint),
        ]

    def start_joint(self) -> None:
        nn.init.normal_(self.critic.weight)

    def generated(self, items: Tensor, view: ModalityView) -> Tensor:
        x = next(iter(view.features.values()))[items]
        return self.generator(x + self.settings.noise * torch.randn_like(x))

    def generation(self, items: Tensor, view: ModalityView) -> dict[str, Tensor]:
        target = self.ego[self.catalog.n_users + items].detach()
        return {"reconstruction": F.mse_loss(self.generated(items, view), target)}

    def critic_losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        real = self.ego[self.catalog.n_users + batch.positives].detach()
        fake = self.generated(batch.positives, view).detach()
        return {"real": F.softplus(-self.critic(real)).mean(), "fake": F.softplus(self.critic(fake)).mean()}

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        fooled = F.softplus(-self.critic(self.generated(batch.positives, view))).mean()
        return super().losses(batch, view) | {"fooled": 0.1 * fooled}
