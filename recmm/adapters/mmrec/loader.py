"""What a model's constructor gets as its second argument: the training interactions."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from torch import Tensor

from recmm.data.catalog import Catalog


class TrainData:
    """The ``dataset`` of a ``TrainLoader``: sizes and names of columns. Other attributes do not exist."""

    uid_field = "userID"
    iid_field = "itemID"

    def __init__(self, catalog: Catalog) -> None:
        self._sizes = catalog.n_users, catalog.n_items

    def get_user_num(self) -> int:
        return self._sizes[0]

    def get_item_num(self) -> int:
        return self._sizes[1]


class TrainLoader:
    """The training pairs of a catalogue. It has no other methods: model files test for some by AttributeError.

    Args:
        catalog: sizes and training pairs.
        features: name of an attribute such as ``v_feat`` -> float32 [n_items, D]; each model gets copies.
    """

    def __init__(self, catalog: Catalog, features: Mapping[str, Tensor]) -> None:
        self.dataset = TrainData(catalog)
        self._catalog, self._features = catalog, features

    def features(self) -> dict[str, Tensor]:
        """Copies of all features: a model may write into them, or train them."""
        return {name: x.clone() for name, x in self._features.items()}

    def inter_matrix(
        self, form: Literal["coo", "csr"] = "coo", value_field: str | None = None
    ) -> coo_matrix | csr_matrix:
        """Ones at the training pairs, float64 [n_users, n_items]; rows sorted by user, then item.

        Raises:
            NotImplementedError: another form, or values of a field.
        """
        if form not in ("coo", "csr") or value_field is not None:
            raise NotImplementedError(f"inter_matrix(form={form!r}, value_field={value_field!r}): choose coo or csr.")
        users, items = self._catalog.train_users.numpy(), self._catalog.train_items.numpy()
        shape = self._catalog.n_users, self._catalog.n_items
        matrix = coo_matrix((np.ones(len(users)), (users.copy(), items.copy())), shape=shape)
        return matrix if form == "coo" else matrix.tocsr()
