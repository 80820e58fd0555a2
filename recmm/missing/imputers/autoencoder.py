"""Imputation by small networks that predict one modality from another."""

import logging
from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from recmm.data.dataset import Interactions
from recmm.missing.imputers.base import Borrower, Features, ImputerSettings, training_stds
from recmm.seeding import derive
from recmm.settings import hp

log = logging.getLogger(__name__)

HELD_OUT = 0.1  # share of a network's items held out of its training for early stopping


class Autoencoder(Borrower):
    """A hidden row is predicted from the item's visible modalities (AE of Malitesta et al., TKDE 2026).

    There is one MLP with LeakyReLU for each ordered pair of modalities, trained on the items that show both in
    training. Predictions from several visible modalities are averaged. The loss is the squared error.

    Columns are standardised with the statistics of training, so the output is linear; the authors' is a sigmoid. It
    runs on the CPU and leaves torch's global random state as it is.
    """

    class Settings(ImputerSettings):
        hidden: Sequence[Annotated[int, Field(ge=1)]] = hp(
            [512], "widths >= 1 of the hidden layers; paper [1024, 512, 512] from image to text, [1024] back"
        )
        epochs: int = hp(30, "at most that many passes over the items", ge=1)
        patience: int = hp(
            5,
            "epochs without a smaller error on the held-out tenth of the items, after which training stops; the epoch "
            "with the smallest error counts",
            ge=1,
        )
        lr: float = hp(1e-3, "learning rate of Adam", gt=0)
        batch_size: int = hp(256, "items in a batch", ge=1)
        seed: int = hp(0, "of initial weights, held-out items and batches; the run's seed never changes it")

    settings: Settings

    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        super().fit(features, mask, train)
        stds = training_stds(features, mask, self.means)
        self.scales = {modality: np.where(std > 0, std, np.float32(1)) for modality, std in stds.items()}
        self.networks: dict[tuple[str, str], nn.Sequential] = {}
        for s, source in enumerate(features):
            for m, target in enumerate(features):
                both = np.flatnonzero(mask[:, s] & mask[:, m])
                if s != m and len(both) >= 2:
                    x, y = (self._standardised(name, features[name][both]) for name in (source, target))
                    with torch.inference_mode(False), torch.enable_grad():  # fit may be called inside inference mode
                        self.networks[source, target] = self._train(x, y, f"{source} to {target}")

    def borrow(self, features: Features, mask: np.ndarray, modality: str) -> tuple[np.ndarray, np.ndarray]:
        hidden = ~mask[:, list(features).index(modality)]
        total = np.zeros((len(hidden), features[modality].shape[1]), dtype=np.float32)
        n_sources = np.zeros(len(hidden), dtype=np.float32)
        for column, source in enumerate(features):
            items = np.flatnonzero(hidden & mask[:, column])
            if (source, modality) in self.networks and len(items):
                with torch.no_grad():
                    x = self._standardised(source, features[source][items])
                    total[items] += self.networks[source, modality](x).numpy()
                n_sources[items] += 1
        found = np.flatnonzero(n_sources)
        rows = total[found] / n_sources[found, None]
        return found, rows * self.scales[modality] + self.means[modality]

    def _standardised(self, modality: str, values: np.ndarray) -> Tensor:
        return torch.from_numpy((values - self.means[modality]) / self.scales[modality])

    def _train(self, x: Tensor, y: Tensor, name: str) -> nn.Sequential:
        """The network as it was when its held-out error was smallest; x [n, D_source], y [n, D_target]."""
        random = torch.Generator().manual_seed(derive(self.settings.seed, 0, f"imputer/{name}"))
        network = _mlp([x.shape[1], *self.settings.hidden, y.shape[1]], random)
        optimiser = torch.optim.Adam(network.parameters(), lr=self.settings.lr)
        order = torch.randperm(len(x), generator=random)
        n_held_out = max(round(HELD_OUT * len(x)), 1)
        held_out, items = order[:n_held_out], order[n_held_out:]
        least, best, best_epoch = _error(network, x[held_out], y[held_out]), deepcopy(network.state_dict()), 0
        for epoch in range(1, self.settings.epochs + 1):
            for batch in items[torch.randperm(len(items), generator=random)].split(self.settings.batch_size):
                optimiser.zero_grad()
                F.mse_loss(network(x[batch]), y[batch]).backward()
                optimiser.step()
            error = _error(network, x[held_out], y[held_out])
            if error < least:
                least, best, best_epoch = error, deepcopy(network.state_dict()), epoch
            elif epoch - best_epoch >= self.settings.patience:
                break
        network.load_state_dict(best)
        log.info("%s: %d items, %.3f of the variance left after epoch %d.", name, len(x), least, best_epoch)
        return network


@torch.no_grad()
def _error(network: nn.Sequential, x: Tensor, y: Tensor) -> float:
    return F.mse_loss(network(x), y).item()


def _mlp(widths: list[int], random: torch.Generator) -> nn.Sequential:
    """Linear layers with LeakyReLU between them and torch's default initialisation, drawn from ``random``."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        linear = nn.utils.skip_init(nn.Linear, n_in, n_out)
        for parameter in (linear.weight, linear.bias):
            nn.init.uniform_(parameter, -(n_in**-0.5), n_in**-0.5, generator=random)
        layers += [linear, nn.LeakyReLU()]
    return nn.Sequential(*layers[:-1])
