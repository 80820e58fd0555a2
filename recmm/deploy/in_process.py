"""One run started from Python: composed and checked like `train.py`'s, without Hydra's application around it."""

import contextlib
import logging
import os
import random
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.version import VersionBase, setbase
from omegaconf import DictConfig, open_dict, read_write

from recmm.data.files.atomic import writing
from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.identity import without_hydra
from recmm.experiment.config.jobs import check_arguments
from recmm.experiment.launch import sweep_name
from recmm.experiment.run import train
from recmm.offline import stay_offline

_LIGHTNING = "pytorch_lightning.utilities.rank_zero"


def compose(arguments: Sequence[str]) -> DictConfig:
    """The composed and checked configuration of these arguments of `train.py`; one job, without `-m`.

    Raises:
        ConfigError: see ``check_arguments``.
    """
    with _hydra_as_it_was():
        [cfg] = check_arguments(arguments, config_folder())
    return cfg


def run_in_process(arguments: Sequence[str]) -> Path:
    """Make the run that `train.py` makes of these arguments; returns the folder of its record.

    What a run changes in the process is put back at its end: see ``unchanged_process``.

    Raises:
        RecmmError: see ``recmm.experiment.run.train``.
    """
    cfg = compose([*arguments, f"sweep.name={sweep_name(arguments)}"])
    folder = Path(str(cfg.hydra.run.dir)).absolute()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with read_write(cfg.hydra.runtime), open_dict(cfg.hydra.runtime):
        cfg.hydra.runtime.output_dir = str(folder)
    with _hydra_as_it_was(), unchanged_process():
        stay_offline()
        logging.getLogger().setLevel(logging.INFO)  # as Hydra does: train.log holds what a run says
        HydraConfig.instance().set_config(cfg)
        train(without_hydra(cfg))
    return folder


@contextlib.contextmanager
def unchanged_process() -> Iterator[None]:
    """Put back what a run sets for its whole process.

    The environment, signal handlers, warning filters, levels and handlers of logging, torch's threads and deterministic
    mode, and the random states of torch, NumPy and Python.
    """
    environment, root = dict(os.environ), logging.getLogger()
    loggers = {logger: logger.level for logger in (root, logging.getLogger(_LIGHTNING), logging.getLogger("recmm"))}
    handlers, threads, filled = list(root.handlers), torch.get_num_threads(), _fills_memory()
    is_deterministic = torch.are_deterministic_algorithms_enabled()
    only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    states = random.getstate(), np.random.get_state()
    in_main = threading.current_thread() is threading.main_thread()
    signals = {number: signal.getsignal(number) for number in signal.valid_signals()} if in_main else {}
    try:
        with warnings.catch_warnings(), torch.random.fork_rng():
            yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        for logger, level in loggers.items():
            logger.setLevel(level)
        root.handlers[:] = handlers
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(is_deterministic, warn_only=only_warns)
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = benchmark
        random.setstate(states[0])
        np.random.set_state(states[1])
        for number, handler in signals.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def _fills_memory() -> bool:
    return bool(torch.utils.deterministic.fill_uninitialized_memory)  # type: ignore[attr-defined]


@contextlib.contextmanager
def _hydra_as_it_was() -> Iterator[None]:
    """Hydra's own state of this process, which the caller may be using, too."""
    cfg, version = HydraConfig.instance().cfg, VersionBase.instance().version_base
    setbase("1.3")
    try:
        yield
    finally:
        HydraConfig.instance().cfg = cfg
        VersionBase.instance().version_base = version
