"""The arguments that `data check` and `data describe` share; light, for every start of the program imports them."""

from enum import StrEnum
from typing import Annotated

import typer


class Layout(StrEnum):
    """How a folder keeps a catalogue."""

    canonical = "canonical"
    mmrec = "mmrec"
    matrices = "matrices"


Target = Annotated[
    list[str],
    typer.Argument(
        metavar="FOLDER | DATASET | KEY=VALUE ...",
        help="A folder; or a dataset's name; or arguments of train.py, such as dataset=tiktok_va.",
        show_default=False,
    ),
]
LayoutOption = Annotated[
    Layout | None, typer.Option("--layout", help="Of the folder; found out from its files if not given.")
]
InteractionsOption = Annotated[
    str | None, typer.Option("--interactions", metavar="FILE", help="The .inter table, where the folder has several.")
]
FeaturesOption = Annotated[
    list[str] | None,
    typer.Option("--features", metavar="MODALITY=FILE", help="Once for each modality; all .npy matrices if not given."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
