"""Loggers as config choices. The record's own `metrics.csv` is always written; these come on top."""

import hashlib
import logging
import os
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any

from hydra.utils import get_class
from pytorch_lightning.loggers import Logger, TensorBoardLogger

from recmm.experiment.records import Record

log = logging.getLogger(__name__)

FINISH_TIMEOUT = 600.0
"""Seconds after which an upload is given up at the end of a run; what is not uploaded stays in the run's folder."""


def wandb_mode() -> str:
    """`offline` unless WANDB_MODE or WANDB_API_KEY says otherwise: a start without a network would wait for one."""
    return os.environ.get("WANDB_MODE", "online" if "WANDB_API_KEY" in os.environ else "offline")


def wandb_logger(record: Record, *, project: str = "recmm", group: str | None = None) -> Logger:
    """Weights & Biases, offline unless WANDB_MODE or WANDB_API_KEY says otherwise.

    Args:
        record: of the run; its folder receives the files.
        project: of all runs.
        group: of the runs that belong together; None: the sweep, by the name of its folder.
    """
    return WandbRun(record, project, group)


def tensorboard_logger(record: Record) -> Logger:
    """TensorBoard event files in the record's folder `tensorboard`."""
    return TensorBoardLogger(record.folder, name="tensorboard", version=f"attempt-{record.attempt}")


def close_loggers(loggers: list[Logger], *, failed: bool) -> None:
    """End every W&B run with the exit code it deserves, so that a crash is not shown as finished."""
    for logger in loggers:
        if isinstance(logger, WandbRun):
            logger.close(failed=failed)


class WandbRun(Logger):
    """One attempt of one run on W&B: configuration, curves by epoch, and, once it is done, its metrics and picture.

    W&B never costs the run: whatever goes wrong with it is warned about once. The W&B run is a new one whatever else
    the process has open, so two never merge. Its id comes from the folder (sweep and run), signature and attempt;
    all attempts of a run share their name. It is opened by ``log_hyperparams``, in the writing process alone.
    """

    def __init__(self, record: Record, project: str, group: str | None) -> None:
        super().__init__()
        folder = record.folder.resolve()
        place = hashlib.sha256(f"{folder.parent.name}/{folder.name}".encode()).hexdigest()[:8]
        self.record, self._project, self._group = record, project, group or folder.parent.name
        self._id = f"{record.result['signature']}-{place}-{record.attempt}"
        self._run: Any = None
        self._rates: dict[str, float] = {}
        self._fitting = self._warned = False

    @property
    def name(self) -> str:
        return self._project

    @property
    def version(self) -> str:
        return self._id

    @property
    def save_dir(self) -> str:
        return str(self.record.folder)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Open the W&B run with the resolved configuration ``params``."""
        if self.record.writes and self._run is None:
            self._attempt("start", self._open, params)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """One row of the curves. What is evaluated once the fit has ended is no point of them."""
        if self._run is not None and self._fitting:
            self._attempt("log", self._run.log, dict(metrics))

    def finalize(self, status: str) -> None:
        """Lightning says so when a fit ends."""
        self._fitting = False

    def close(self, *, failed: bool) -> None:
        """End the W&B run with exit code 0, or 1 if the run ``failed`` or was interrupted."""
        if self._run is None:
            return
        if not failed:
            self._attempt("log", self._complete)
        self._attempt("finish", self._run.finish, exit_code=int(failed))

    def _open(self, params: dict[str, Any]) -> None:
        import wandb  # takes seconds to import, so only where it is chosen

        mode: Any = wandb_mode()
        about = _about(self.record.result)
        self._fitting = get_class(params["model"]["_target_"]).trained  # type: ignore[attr-defined]
        if self.record.result["uses_modalities"]:  # the numbers of others belong to no missing setting
            self._rates = {key: value for key, value in params["missing"].items() if key.endswith("rate")}
        series = [about[group] for group in ("model", "dataset", "missing")]
        tags = [*series, *(f"{name}={value}" for name, value in self._rates.items())]
        names = {"series": ", ".join(series), "label": ", ".join(tags)}
        self._run = wandb.init(
            project=self._project,
            name=self.record.folder.resolve().name,
            group=self._group,
            id=self._id,
            resume="allow",
            dir=self.record.folder,
            job_type="train" if self._fitting else "evaluate",
            tags=[tag[:64] for tag in tags],  # longer ones are refused
            config=_columns(params) | {"record": about | names},
            mode=mode,
            settings=wandb.Settings(reinit="create_new", silent=mode != "online", finish_timeout=FINISH_TIMEOUT),
        )
        self._run.define_metric("*", step_metric="epoch")

    def _complete(self) -> None:
        """The record's metrics as summary: of test, and of validation at the best epoch.

        The metrics of test are a row of their own beside the rates, which makes rates an axis of W&B's line plots.
        """
        import wandb

        result, curves = self.record.result, self.record.folder / "curves.png"
        test = {name: value for name, value in result.items() if name.startswith("test/")}
        picture = {"curves": wandb.Image(str(curves))} if curves.exists() else {}
        self._run.log(test | picture | {f"missing/{name}": value for name, value in self._rates.items()})
        others = ("best_epoch", "epochs", "peak_memory_mb")
        self._run.summary.update(
            {name: value for name, value in result.items() if name.startswith("val/") or name in others}
            | {"wall_seconds": self.record.wall_seconds()}
        )

    def _attempt(self, what: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        try:
            call(*args, **kwargs)
        except Exception as error:  # whatever it is, the run's record does not need W&B
            if not self._warned:
                reason = f"{type(error).__name__}: {error}"
                log.warning(
                    "W&B could not %s (%s). The run goes on, and its record is complete without it.", what, reason
                )
            self._warned = True


def _about(result: dict[str, Any]) -> dict[str, Any]:
    """What identifies the run, from its record; ``any`` missing setting for a method that looks at no modality."""
    about = {key: result[key] for key in ("model", "dataset", "missing", "imputer", "signature", "attempt")}
    data = {"split": result["data"]["split"], "data_digest": result["data"]["digest"]}
    digest = {"masks_digest": result["masks"]["digest"]}
    hidden = digest if result["uses_modalities"] else {"missing": "any", "imputer": "any"}
    return about | data | hidden


def _columns(value: Any) -> Any:
    """Mappings stay nested, which W&B shows as columns with dotted names; a list is one value."""
    if isinstance(value, Mapping):
        return {key: _columns(inner) for key, inner in value.items()}
    return f"[{','.join(map(str, value))}]" if isinstance(value, list | tuple) else value
