"""Arguments and options of several data commands. Every start of the program imports this, so it loads Typer alone."""

from enum import StrEnum
from typing import Annotated, Any

import typer


class Layout(StrEnum):
    """How a folder stores a catalogue. `data import` reads every layout but ``canonical``, which it writes."""

    canonical = "canonical"
    mmrec = "mmrec"
    matrices = "matrices"
    json = "json"
    csv = "csv"
    amazon = "amazon"


def one_of(*layouts: Layout) -> dict[str, Any]:
    """Keywords of ``typer.Option`` for an option that takes only some of the layouts."""

    def layout(text: str) -> Layout:
        if text not in layouts:
            raise typer.BadParameter(f"{text!r} is not one of {', '.join(repr(str(known)) for known in layouts)}.")
        return Layout(text)

    return {"parser": layout, "metavar": f"<{'|'.join(layouts)}>"}


Target = Annotated[
    list[str],
    typer.Argument(
        metavar="FOLDER | DATASET | KEY=VALUE ...",
        help="A folder, the name of a dataset, or arguments of train.py such as dataset=tiktok_va.",
        show_default=False,
    ),
]
LayoutOption = Annotated[
    Layout | None,
    typer.Option(
        "--layout",
        help="Layout of the folder. Default: recognised from its files.",
        **one_of(Layout.canonical, Layout.mmrec, Layout.matrices),
    ),
]
InteractionsOption = Annotated[
    str | None, typer.Option("--interactions", metavar="FILE", help="The .inter table, if the folder has several.")
]
FeaturesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--features",
        metavar="MODALITY=FILE",
        help="Repeat for each modality. Default: all .npy matrices in the folder.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
