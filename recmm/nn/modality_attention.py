"""Attention over the modalities of a node."""

from torch import Tensor, nn


class ModalityAttention(nn.Module):
    """x [n, M, d] -> [n, d]: every modality attends to all, several heads side by side, then the modalities' mean.

        a_h = softmax over m' of (x^m Q_h) . (x^m' K_h) / sqrt(width of a head)
        output = mean over m of [sum_m' a_1 x^m' ‖ ... ‖ sum_m' a_H x^m'] W

    Args:
        n_modalities: M; a single one has nothing to attend to, and no Q and K.
        dim: d.
        n_heads: H; each has d / H coordinates of its own, rounded up, for Q and K.
        identity: all weights are 1 / M.
    """

    def __init__(self, n_modalities: int, dim: int, n_heads: int, *, identity: bool = False) -> None:
        super().__init__()
        self.n_heads, self.attends = n_heads, n_modalities > 1 and not identity
        self.output = _xavier(n_heads * dim, dim)
        if self.attends:
            width = -(-dim // n_heads)
            self.query, self.key = _xavier(dim, n_heads * width), _xavier(dim, n_heads * width)

    def weights(self, x: Tensor) -> Tensor:
        """Of the modalities m' in every head, mean over m: [n, H, M]."""
        n, n_modalities, _ = x.shape
        if not self.attends:
            return x.new_full((n, self.n_heads, n_modalities), 1 / n_modalities)
        query, key = (layer(x).unflatten(2, (self.n_heads, -1)) for layer in (self.query, self.key))
        products = (query[:, :, None] * key[:, None]).sum(4) / query.shape[3] ** 0.5  # [n, m, m', H]
        return products.softmax(2).mean(1).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.output((self.weights(x) @ x).flatten(1))
        return mixed


def _xavier(rows: int, columns: int) -> nn.Linear:
    layer = nn.Linear(rows, columns, bias=False)
    nn.init.xavier_uniform_(layer.weight)
    return layer
