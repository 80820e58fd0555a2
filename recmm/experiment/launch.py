"""Entry point of ``train.py`` and ``python -m recmm train``: check every job, then start Hydra."""

import hashlib
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from recmm.data.files.atomic import writing
from recmm.errors import ConfigError, RecmmError, in_one_sentence, leave, own_error
from recmm.experiment.config.check import check
from recmm.experiment.config.folder import CONFIG_NAME, config_folder
from recmm.experiment.config.home import expand_home
from recmm.experiment.config.hydra_private import argument_parser, run_hydra
from recmm.experiment.config.identity import register_resolvers
from recmm.experiment.config.jobs import Start, config_loader, in_sentences, rewritten
from recmm.experiment.config.schema import register_schema
from recmm.experiment.config.trust import trust_searchpath
from recmm.offline import stay_offline
from recmm.terminal import prepare_terminal

# At import: a launcher's worker processes import this module to find `task`, and need them too.
register_schema()
register_resolvers()


def main(arguments: Sequence[str] | None = None) -> None:
    """Check the arguments (default: ``sys.argv``), then start the run or the sweep.

    Exits with code 2 for a wrong configuration, 1 for a failed run, 130 after Ctrl-C. An error is printed as one
    sentence; HYDRA_FULL_ERROR=1 shows its traceback.
    """
    prepare_terminal()
    stay_offline()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argument_parser()
    args = parser.parse_intermixed_args(arguments)  # flags may stand between overrides
    folder = config_folder()
    if args.multirun and (args.cfg or args.info):
        shown = "--cfg" if args.cfg else "--info"
        leave(ConfigError(f"{shown} shows one job: leave out -m. `python -m recmm check -m ...` tries every job."))
    try:
        with in_one_sentence():
            args.config_dir = args.config_dir and expand_home(args.config_dir)
            args.overrides = rewritten(args.overrides, config_loader(folder, args.config_dir))
            if not (args.shell_completion or args.cfg):
                _check(arguments, folder, args)
            run_hydra(args, parser, task, folder, CONFIG_NAME)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)


def _check(arguments: Sequence[str], folder: Path, args: Namespace) -> None:
    """Check what is about to start, and fix the name of the sweep: every job would evaluate a resolver again."""
    with in_sentences():
        start = Start(arguments, folder)  # checks Hydra's node, which --help and --info use as well
        if args.help or args.hydra_help or args.info:
            return
        for cfg in () if start.is_grid() else start.jobs():
            if not start.is_sweep:
                _refuse_place(cfg)
        if start.master.sweep.name is None:
            args.overrides.append(f"sweep.name={sweep_name(args.overrides)}")


def _refuse_place(cfg: DictConfig) -> None:
    """Refuse a folder for the record that cannot be made: Hydra would show a traceback."""
    try:
        place = Path(str(cfg.hydra.run.dir)).absolute()
    except OmegaConfBaseException:  # known when the run starts
        return
    absent = [folder for folder in (place, *place.parents) if not folder.exists()]
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
    for folder in absent:  # the run makes them when it starts
        folder.rmdir()


def task(cfg: DictConfig) -> float | None:
    """One job. Returns the validation metric that a search maximises, or None if its sweep has been stopped."""
    stay_offline()  # a worker process of a launcher starts here
    trust_searchpath(HydraConfig.get().overrides.hydra)
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
    """A sweep's name, made from its arguments in any order; launcher and error handling do not count."""
    ignored = ("sweep.", "hydra/launcher=", "hydra.launcher.", "hydra.sweeper.n_", "ckpt=")
    arguments = sorted(override for override in overrides if not override.startswith(ignored))
    return f"sweep-{hashlib.sha256(chr(10).join(arguments).encode()).hexdigest()[:8]}"
