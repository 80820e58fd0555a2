"""The folder of the configuration files, and the names of the files in it."""

import re
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


def choice_of(component: type) -> str:
    """The name of an imputer or missing setting in ``conf/`` and in records: feat_prop for ``FeatProp``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", component.__name__).lower()
