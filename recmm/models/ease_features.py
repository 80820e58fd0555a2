"""EASE on interactions stacked with item features (collective EASE: Jeunen et al., RecSys 2020)."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.missing.view import ModalityView
from recmm.models.ease import Ridge
from recmm.models.settings import hp
from recmm.nn.rows import centred, unit_rows


class EASEFeatures(Ridge):
    """EASE with every column of the features as one more user: G = R^T R + sum_m alpha_m X^m X^m^T + lambda I.

    X^m: the features of modality m, centred at the mean of what is visible, rows of length 1. Rows of hidden or missing
    entries are zero, whatever an imputer put there: such an item is compared by its interactions and other modalities.
    Only columns of users are scored, r_u B, so that items without training interactions have scores, too.

    It is fitted on the view of the phase that it ranks, as nothing is trained before: where test hides other entries
    than training, test's count. With all alpha_m = 0 it is EASE bit for bit.

    Raises:
        ConfigError: not one weight per modality, or a negative one; more items than a dense matrix of them is made for.
    """

    class Settings(Ridge.Settings):
        alpha: float | Sequence[float] = hp(
            30.0, "at least 0, weight of the features: one number for all modalities, or a list in the dataset's order"
        )

    settings: Settings
    uses_modalities = True

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        n, alpha = len(catalog.modalities), self.settings.alpha
        self.alphas = [alpha] * n if isinstance(alpha, int | float) else list(alpha)
        if len(self.alphas) != n or min(self.alphas) < 0:
            names = ", ".join(catalog.modalities)
            raise ConfigError(f"model.alpha must be one number or one for each of {names}, at least 0; got {alpha}.")

    def gram(self, view: ModalityView) -> Tensor:
        gram = super().gram(view)
        for m, alpha in zip(view.modalities, self.alphas, strict=True):
            if alpha:
                visible = view.visible(m)
                x = unit_rows(centred(view.features[m], visible)) * visible[:, None]
                gram.addmm_(x, x.T, alpha=alpha)
        return gram
