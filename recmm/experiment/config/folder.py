"""The folder of the configuration files."""

from pathlib import Path

import recmm
from recmm.errors import ConfigError

CONFIG_NAME = "train"


def config_folder() -> Path:
    """The folder with ``train.yaml``: inside the package when installed, beside it in the repository."""
    package = Path(recmm.__file__).resolve().parent
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / f"{CONFIG_NAME}.yaml").is_file():
            return folder
    raise ConfigError(f"There is no conf/{CONFIG_NAME}.yaml in {package} or beside it; install recmm again.")
