"""The loggers of the group `logger`, in addition to the record's `metrics.csv`, which is always written."""

import hashlib
import logging
import shutil
import socket
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, TensorBoardLogger

from recmm.experiment.config.constructors import locate
from recmm.experiment.records import Record
from recmm.offline import stay_offline, wandb_mode

log = logging.getLogger(__name__)

FINISH_TIMEOUT = 600.0
"""Seconds that the end of a run waits for an upload; what is not uploaded by then stays in the run's folder."""

PUBLISHABLE: dict[str, Any] = {
    "console": "off",  # what a run prints has paths in it
    "disable_code": True,
    "disable_git": True,
    "save_code": False,
    "x_disable_machine_info": True,
    "x_disable_meta": True,  # host, user, command line, remote
    "host": "",
    "username": "",
    "email": "",
    "program": "",
    "symlink": False,
}
"""Settings of W&B with which its folder, like the rest of the record, names no person, host, command line or remote."""


def wandb_logger(record: Record, *, project: str = "recmm", group: str | None = None) -> Logger:
    """Weights & Biases, offline unless WANDB_MODE or WANDB_API_KEY is set.

    Args:
        record: of the run; its folder receives the files.
        project: W&B project of all runs.
        group: W&B group of the run; None: the name of the sweep's folder.
    """
    return WandbRun(record, project, group)


def tensorboard_logger(record: Record) -> Logger:
    """TensorBoard event files in the record's folder `tensorboard`."""
    return TensorBoardLogger(record.folder, name="tensorboard", version=f"attempt-{record.attempt}")


def close_loggers(loggers: list[Logger], *, failed: bool) -> None:
    """End every W&B run with exit code 1 if the run ``failed``, else 0: W&B would show a crash as finished.

    What loggers write beside the curves and names this machine or its folders is taken out of the record.
    """
    for logger in loggers:
        if isinstance(logger, WandbRun):
            logger.close(failed=failed)
        elif isinstance(logger, TensorBoardLogger):
            logger.finalize("failed" if failed else "success")
            _rename_without_host(Path(logger.log_dir))


def _rename_without_host(folder: Path) -> None:
    """Event files bear the host's name; TensorBoard reads them under any name with `tfevents` in it."""
    host = f".{socket.gethostname()}."
    for path in folder.glob("events.out.tfevents.*"):
        path.replace(path.with_name(path.name.replace(host, ".host.")))


class WandbRun(Logger):
    """One attempt of one run on W&B: configuration, curves by epoch and, when it is done, final metrics and figure.

    An error of W&B never ends the run; the first one is a warning. Every attempt is a W&B run of its own, also when
    the process has others open. Its id comes from the folder (sweep and run), signature and attempt; all attempts of a
    run share their name. ``log_hyperparams`` opens it, only in the process that writes the record.
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
        """Log one row of the curves; metrics after the fit are not part of them."""
        if self._run is not None and self._fitting:
            self._attempt("log", self._run.log, dict(metrics))

    def finalize(self, status: str) -> None:
        """Called by Lightning when the fit ends."""
        self._fitting = False

    def close(self, *, failed: bool) -> None:
        """End the W&B run with exit code 0, or 1 if the run ``failed`` or was interrupted."""
        if self._run is None:
            return
        if not failed:
            self._attempt("log", self._complete)
        self._attempt("finish", self._run.finish, exit_code=int(failed))
        for logs in (self.record.folder / "wandb").glob("*/logs"):  # W&B's own, full of paths
            shutil.rmtree(logs, ignore_errors=True)

    def _open(self, params: dict[str, Any]) -> None:
        stay_offline()  # a run of the Python API has no entry point that has done so
        import wandb  # slow to import, so only where it is used

        logging.raiseExceptions = False  # on a full disk W&B's own log would print a traceback for each of its lines
        mode: Any = wandb_mode()
        about = _about(self.record.result)
        method: Any = locate(params["model"]["_target_"], "model")
        self._fitting = method.trained
        if self.record.result["uses_modalities"]:  # the numbers of other methods depend on no missing setting
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
            tags=[tag[:64] for tag in tags],  # W&B refuses longer ones
            config=_columns(params) | {"record": about | names},
            mode=mode,
            settings=wandb.Settings(
                reinit="create_new", silent=mode != "online", finish_timeout=FINISH_TIMEOUT, **PUBLISHABLE
            ),
        )
        self._run.define_metric("*", step_metric="epoch")

    def _complete(self) -> None:
        """Write the summary: test metrics, and validation metrics of the best epoch.

        The test metrics are also logged in one row with the rates, so that W&B's line plots can use a rate as x-axis.
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
        except Exception as error:  # the run's record does not need W&B
            if not self._warned:
                reason = f"{type(error).__name__}: {error}"
                log.warning(
                    "W&B could not %s (%s). The run continues; its record does not depend on W&B.", what, reason
                )
            self._warned = True


def _about(result: dict[str, Any]) -> dict[str, Any]:
    """What identifies the run, from its record; missing setting ``any`` for a method without modalities."""
    about = {key: result[key] for key in ("model", "dataset", "missing", "imputer", "signature", "attempt")}
    data = {"split": result["data"]["split"], "data_digest": result["data"]["digest"]}
    digest = {"masks_digest": result["masks"]["digest"]}
    hidden = digest if result["uses_modalities"] else {"missing": "any", "imputer": "any"}
    return about | data | hidden


def _columns(value: Any) -> Any:
    """The configuration for W&B, which shows nested mappings as columns with dotted names; a list becomes one text."""
    if isinstance(value, Mapping):
        return {key: _columns(inner) for key, inner in value.items()}
    return f"[{','.join(map(str, value))}]" if isinstance(value, list | tuple) else value
