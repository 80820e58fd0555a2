"""``recmm.train``: one run from Python, with the record, the signature and the checks of `train.py`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recmm.api.arguments import arguments_of
from recmm.api.data import Data, load_dataset
from recmm.api.runs import Run
from recmm.data.dataset import MultimodalDataset
from recmm.deploy.in_process import compose, run_in_process

_GROUPS = ("missing", "imputer", "split", "experiment", "settings", "logger", "callbacks", "eval", "trainer", "paths")
_KEYS = ("seed", "ckpt", "overwrite", "settings_source")


def train(
    model: str,
    data: Data | MultimodalDataset | str | Path,
    *,
    seed: int = 0,
    folder: str | Path | None = None,
    **values: Any,
) -> Run:
    """Train one method, select it on validation, test it once, and write its record.

    It is the run that `train.py` makes of the same choices: a finished one is not run again. Nothing that the run sets
    for the process, such as torch's threads or the logging, stays set.

        recmm.train("mgcn", data, missing="mtmt", imputer="mean", seed=0, k=15, trainer={"max_epochs": 20})

    Args:
        model: a choice of `conf/model`.
        data: what ``load_dataset`` and ``dataset_from_frames`` return, or what ``load_dataset`` takes. A dataset in
            memory is written to `<paths.output>/datasets` first, so that the run can be made again.
        seed: of initial weights, batches, negatives and dropout.
        folder: of the record; by default below `paths.output`, named after the choices.
        values: a group's choice (``missing="rate"``) or values (``trainer={"max_epochs": 20}``); a key with dots
            (``**{"missing.rate": 0.3}``); ``ckpt``, ``overwrite``; and every other name is a hyper-parameter of the
            method (``k=15``, ``training={"lr": 0.01}``).

    Raises:
        ConfigError: a name or a value is wrong.
        RecmmError: see ``recmm.experiment.run.train``.
    """
    own: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    for name, value in values.items():
        is_own = "." in name or name in (*_GROUPS, *_KEYS)
        (own if is_own else settings)[name] = value
    choices = {name: own.pop(name) for name in _GROUPS if not isinstance(own.get(name, {}), Mapping)}
    given = [*arguments_of({"model": model} | choices), *arguments_of(own), *arguments_of(settings, "model")]
    if isinstance(data, MultimodalDataset):
        data = Data(data)
    elif not isinstance(data, Data):
        data = load_dataset(data)
    if data.arguments is None:
        output = Path(str(compose(tuple(arguments_of({"paths": own.get("paths", {})}))).paths.output)).expanduser()
        chosen = data.stored(output.absolute())
    else:
        chosen = data.arguments
    place = arguments_of({} if folder is None else {"hydra.run.dir": Path(folder).expanduser().absolute()})
    return Run(run_in_process([*given, *chosen, f"seed={seed}", *place]))
