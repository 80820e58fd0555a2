"""SLIM (Ning & Karypis, ICDM 2011): every item as a sparse sum of other items, by the elastic net."""

from functools import partial

from torch import Tensor

from recmm.missing.view import ModalityView
from recmm.models.history import FromHistory, ItemToItem
from recmm.models.settings import hp
from recmm.nn.interactions import as_tensor, training_matrix
from recmm.nn.ridge import elastic_net, on_neighbours, regressors


class SLIM(ItemToItem):
    """Scores r_u W, where column w of W minimises for its item j, with w_j = 0 and w >= 0,

        1/2 ||r_j - R w||^2 + l2/2 ||w||^2 + l1 ||w||_1                                         (equation 4)

    over the ``k`` neighbours of j (fsSLIM, section IV.C of the paper; neighbours as in EASE's ``method=sparse``). Where
    w >= 0, only items that share a user with j can have a weight: ``k=null`` takes all of them and is SLIM itself.

    It descends on the Gram matrix R^T R, which all items share, for many items at once: scikit-learn, no dependency of
    this package otherwise, solves each item alone on R. Its ElasticNet(alpha, l1_ratio) means l1 = alpha l1_ratio
    n_users and l2 = alpha (1 - l1_ratio) n_users.
    """

    class Settings(FromHistory.Settings):
        l1: float = hp(1.0, "on the absolute weights, makes them sparse; search .1 to 3", ge=0)
        l2: float = hp(50.0, "on the squared weights; search 1 to 500", gt=0)
        k: int | None = hp(100, "neighbours of an item; null: all items that share a user with it", ge=1)
        positive: bool = hp(True, "weights are not negative; paper true")
        sweeps: int = hp(100, "at most that many passes over all weights", ge=1)
        tolerance: float = hp(1e-6, "ends when no weight changes by more in a pass", gt=0)

    settings: Settings

    def weights(self, view: ModalityView) -> Tensor:
        s, device, interactions = self.settings, view.mask.device, training_matrix(self.catalog)
        gram = (interactions.T @ interactions).tocsr()
        near = regressors(gram, s.l2, s.k)
        net = partial(elastic_net, l1=s.l1, l2=s.l2, positive=s.positive, sweeps=s.sweeps, tolerance=s.tolerance)
        return as_tensor(on_neighbours(gram, near, net, device), device)
