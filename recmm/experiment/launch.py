"""From a command line to runs: check every job, then hand over to Hydra. ``train.py`` and ``python -m recmm train``."""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from recmm.errors import RecmmError, leave, own_error
from recmm.experiment.config.check import check, check_arguments, config_loader, without_null_groups
from recmm.experiment.config.folder import CONFIG_NAME, config_folder
from recmm.experiment.config.hydra_private import argument_parser, run_hydra
from recmm.experiment.config.identity import register_resolvers
from recmm.experiment.config.schema import register_schema

# At import, so that a launcher's worker processes, which import this module to find `task`, know them too.
register_schema()
register_resolvers()


def main(arguments: Sequence[str] | None = None) -> None:
    """Check the arguments (default: the process's own), then run what they ask for under Hydra.

    Leaves the process with exit code 2 for a wrong configuration, 1 for a failed run, 130 after Ctrl-C. Errors are one
    sentence; HYDRA_FULL_ERROR=1 shows their traceback.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argument_parser()
    args = parser.parse_intermixed_args(arguments)  # flags may stand between overrides
    folder = config_folder()
    try:
        args.overrides = without_null_groups(args.overrides, config_loader(folder, args.config_dir))
        if not (args.help or args.hydra_help or args.shell_completion or args.info or args.cfg):
            jobs = check_arguments(arguments, folder)
            if jobs[0].sweep.name is None:  # fixed here, once: a resolver would be asked anew by every job
                args.overrides.append(f"sweep.name={sweep_name(args.overrides)}")
        run_hydra(args, parser, task, folder, CONFIG_NAME)
    except RecmmError as error:
        leave(error)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)


def task(cfg: DictConfig) -> float | None:
    """One job; returns the validation metric that a sweeper maximises, None if its sweep has called it off."""
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        from recmm.experiment.sweep.sweeper import guarded

        return guarded(_train, cfg, Path(HydraConfig.get().runtime.output_dir))
    try:
        return _train(cfg)
    except (RecmmError, HydraException) as error:
        cause = own_error(error)
        if cause is None:
            raise
        leave(cause)


def _train(cfg: DictConfig) -> float:
    check(cfg)
    from recmm.experiment.run import train

    return train(cfg)


def sweep_name(overrides: Sequence[str]) -> str:
    """A sweep's name, the same for the same arguments in any order, however it deals with errors, wherever it runs."""
    hows = ("sweep.", "hydra/launcher=", "hydra.launcher.", "hydra.sweeper.n_", "ckpt=")
    what = sorted(override for override in overrides if not override.startswith(hows))
    return f"sweep-{hashlib.sha256(chr(10).join(what).encode()).hexdigest()[:8]}"
