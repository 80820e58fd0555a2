"""Linear propagation on a graph."""

from collections.abc import Callable

from torch import Tensor


def propagate(product: Callable[[Tensor], Tensor], x: Tensor, n_layers: int) -> Tensor:
    """Mean over l = 0..n_layers of A^l x (LightGCN Eq. 7-8; methods.md B1).

    Args:
        product: x -> A x, such as a ``SymmetricProduct``.
        x: [N, d]; several representations may travel side by side in d, which is cheaper than one product each.
    """
    total, layer = x, x
    for _ in range(n_layers):
        layer = product(layer)
        total = total + layer
    return total / (n_layers + 1)
