"""One modality predicted from another by small networks."""

import logging
from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.dataset import Interactions
from recmm.missing.imputers.base import Borrower, Features, require, training_stds
from recmm.seeding import derive

log = logging.getLogger(__name__)

HELD_OUT = 0.1  # share of a network's training items that decide when it stops


class Autoencoder(Borrower):
    """A hidden row is predicted from the item's visible modalities (AE of Malitesta et al., TKDE 2025).

    One MLP with LeakyReLU for each ordered pair of modalities, trained with the squared error on the items that show
    both in training; several visible sources are averaged. Columns are standardised with training's statistics, so the
    output is linear where the authors' is a sigmoid. It runs on the CPU and touches no global random state.

    Args:
        hidden: widths of the hidden layers; the authors: 1024, 512, 512 from image to text and 1024 back.
        epochs: at most that many passes.
        patience: epochs without a smaller error on a tenth of the items, held out of training, before it stops; the
            epoch of the smallest one counts.
        lr: Adam's step size.
        batch_size: items.
        seed: of initial weights, held-out items and batches.

    Raises:
        ConfigError: a value out of range.
    """

    def __init__(
        self,
        *,
        hidden: Sequence[int] = (512,),
        epochs: int = 30,
        patience: int = 5,
        lr: float = 1e-3,
        batch_size: int = 256,
        seed: int = 0,
    ) -> None:
        require(all(width >= 1 for width in hidden), "hidden", hidden, "widths of at least 1 such as [512]")
        for key, value in (("epochs", epochs), ("patience", patience), ("batch_size", batch_size)):
            require(value >= 1, key, value, "at least 1")
        require(lr > 0, "lr", lr, "a positive number such as 1e-3")
        self.hidden, self.epochs, self.patience = tuple(hidden), epochs, patience
        self.lr, self.batch_size, self.seed = lr, batch_size, seed

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
                    with torch.inference_mode(False), torch.enable_grad():  # wherever the fit is called from
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
        random = torch.Generator().manual_seed(derive(self.seed, 0, f"imputer/{name}"))
        network = _mlp([x.shape[1], *self.hidden, y.shape[1]], random)
        optimiser = torch.optim.Adam(network.parameters(), lr=self.lr)
        order = torch.randperm(len(x), generator=random)
        n_held_out = max(round(HELD_OUT * len(x)), 1)
        held_out, items = order[:n_held_out], order[n_held_out:]
        least, best, best_epoch = _error(network, x[held_out], y[held_out]), deepcopy(network.state_dict()), 0
        for epoch in range(1, self.epochs + 1):
            for batch in items[torch.randperm(len(items), generator=random)].split(self.batch_size):
                optimiser.zero_grad()
                F.mse_loss(network(x[batch]), y[batch]).backward()
                optimiser.step()
            error = _error(network, x[held_out], y[held_out])
            if error < least:
                least, best, best_epoch = error, deepcopy(network.state_dict()), epoch
            elif epoch - best_epoch >= self.patience:
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
