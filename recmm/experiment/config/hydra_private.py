"""Every use of Hydra's private modules: an upgrade of Hydra is checked here and nowhere else.

Hydra 1.3 has no public way to compose a configuration with several search paths, to expand a sweep without running it,
or to start an application with overrides that were edited first. `tests/test_architecture.py` refuses an import of
`hydra._internal` in any other file.

Hydra's plugin scan loads its core plugins again, so a class imported from one of them before the scan is not the class
that Hydra uses afterwards. Call their functions; do not derive from their classes.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import _run_hydra, create_config_search_path, get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, setup_globals
from hydra.types import RunMode
from omegaconf import DictConfig


def argument_parser() -> ArgumentParser:
    """Hydra's own command-line parser: overrides, ``-m``, ``--config-dir``, ``--cfg`` and the rest."""
    return get_args_parser()


def make_loader(config_dir: Path, extra_dir: Path | None = None) -> ConfigLoader:
    """A loader over ``config_dir``; files in ``extra_dir``, searched first, take precedence."""
    version.setbase("1.3")
    setup_globals()
    path = create_config_search_path(str(config_dir))
    if extra_dir is not None:
        path.prepend("command-line", f"file://{extra_dir.resolve()}", SearchPathQuery(provider="schema"))
    return ConfigLoaderImpl(config_search_path=path)


def group_exists(loader: ConfigLoader, group: str) -> bool:
    """Whether the search path has a folder for this config group."""
    assert isinstance(loader, ConfigLoaderImpl)
    return loader.repository.group_exists(group)


def config_groups(loader: ConfigLoader, config_name: str, overrides: list[str]) -> Callable[[str], bool]:
    """Whether a key is a config group, for composing with these overrides of ``hydra.searchpath`` and the like."""
    assert isinstance(loader, ConfigLoaderImpl)
    _, repository = loader._parse_overrides_and_create_caching_repo(config_name, overrides)
    return repository.group_exists


def set_values(cfg: DictConfig, values: list[Override], arguments: list[Override]) -> None:
    """Do what Hydra does after it has merged the files: set values in their order, and note all the arguments of a job.

    Raises:
        HydraException: there is no such key, or the value is of a wrong type.
    """
    ConfigLoaderImpl.validate_sweep_overrides_legal(arguments, RunMode.RUN, from_shell=True)
    ConfigLoaderImpl._apply_overrides_to_config(values, cfg)
    cfg.hydra.overrides.task = [argument.input_line for argument in arguments]
    shown = cfg.hydra.job.config.override_dirname
    cfg.hydra.job.override_dirname = get_overrides_dirname(
        arguments, kv_sep=shown.kv_sep, item_sep=shown.item_sep, exclude_keys=shown.exclude_keys
    )


def combinations(overrides: list[Override]) -> list[list[str]]:
    """The overrides of every job: the product of all listed values, the last key changing fastest.

    Raises:
        HydraException: a value is an interval.
    """
    [jobs] = BasicSweeper.split_arguments(overrides, None)  # None: one batch of all jobs
    return jobs


def what_was_raised(job: JobReturn) -> BaseException:
    """The exception that ended a failed job; the public ``return_value`` would print a line and raise it."""
    error: BaseException = job._return_value
    return error


def run_hydra(
    arguments: Namespace,
    parser: ArgumentParser,
    task: Callable[[DictConfig], Any],
    config_dir: Path,
    config_name: str,
) -> None:
    """Do what the parsed arguments ask for: run ``task``, once or as a sweep, or show help or the configuration."""
    _run_hydra(arguments, parser, task, str(config_dir), config_name)
