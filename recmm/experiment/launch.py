"""From a command line to runs: check every job, then hand over to Hydra. ``train.py`` and ``python -m recmm train``."""

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException, HydraException
from hydra.types import RunMode
from omegaconf import DictConfig

import recmm
from recmm.errors import ConfigError, RecmmError
from recmm.experiment.check import CONFIG_NAME, check, check_arguments, config_loader, without_null_groups
from recmm.experiment.identity import register_resolvers
from recmm.experiment.schema import register_schema

# At import, so that a launcher's worker processes, which import this module to find `task`, know them too.
register_schema()
register_resolvers()


def main(arguments: Sequence[str] | None = None) -> None:
    """Check the arguments (default: the process's own), then run what they ask for under Hydra.

    Leaves the process with exit code 2 for a wrong configuration, 1 for a failed run, 130 after Ctrl-C. Errors are one
    sentence; HYDRA_FULL_ERROR=1 shows their traceback.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = get_args_parser()
    args = parser.parse_intermixed_args(arguments)  # flags may stand between overrides
    folder = config_folder()
    try:
        if not (args.help or args.hydra_help or args.shell_completion or args.info or args.cfg):
            check_arguments(arguments, folder)
        args.overrides = without_null_groups(args.overrides, config_loader(folder, args.config_dir))
        if not any(override.startswith("hydra.sweep.dir=") for override in args.overrides):
            args.overrides.append(f"hydra.sweep.dir={sweep_folder(args.overrides)}")
        _run_hydra(args, parser, task, str(folder), CONFIG_NAME)
    except RecmmError as error:
        _leave(error)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)


def task(cfg: DictConfig) -> float | None:
    """One job; returns the validation metric that a sweeper maximises."""
    try:
        check(cfg)
        from recmm.experiment.run import train

        return train(cfg)
    except (RecmmError, HydraException) as error:
        cause = _own(error)
        if cause is None:
            raise
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise CompactHydraException(str(cause)) from cause
        _leave(cause)


def config_folder() -> Path:
    """The folder with ``train.yaml``: inside the package when installed, beside it in the repository."""
    package = Path(recmm.__file__).resolve().parent
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / f"{CONFIG_NAME}.yaml").is_file():
            return folder
    raise ConfigError(f"There is no conf/{CONFIG_NAME}.yaml in {package} or beside it; install recmm again.")


def sweep_folder(overrides: Sequence[str]) -> str:
    """A sweep's folder, the same for the same arguments in any order."""
    digest = hashlib.sha256("\n".join(sorted(overrides)).encode()).hexdigest()[:8]
    return f"${{paths.output}}/sweep-{digest}"


def _own(error: BaseException | None) -> RecmmError | None:
    """The error of ours behind one that Hydra wrapped around it when it called a constructor."""
    while error is not None and not isinstance(error, RecmmError):
        error = error.__cause__
    return error


def _leave(error: RecmmError) -> NoReturn:
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        raise error
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    sys.exit(2 if isinstance(error, ConfigError) else 1)
