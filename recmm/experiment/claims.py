"""What a run does with the record that it finds in its folder: leave, continue, extend or replace it."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from recmm.errors import CheckpointError, DamagedRecordError, RunError
from recmm.experiment.checkpoints import damage_of, newest_whole, place_copy
from recmm.experiment.config.identity import differences
from recmm.experiment.config.publishable import publishable_values
from recmm.experiment.verification import read_result, verify

OWN_FILES = (
    *("result.json", "config.yaml", "metrics.csv", "curves.png", "masks.npz", "train.log", "checkpoints"),
    *("ranks.parquet", "topk.parquet", "per_user.parquet", "wandb", "tensorboard", "error.log"),
)
_EPOCHS = "trainer.max_epochs"


@dataclass(frozen=True)
class Decision:
    """What happens to the folder of a run.

    Attributes:
        what: `new` (there is no run), `finished` (nothing to do), `continue`, `extend` (continue for more epochs), or
            `aside` (move the run there aside and start anew).
        found: content of the `result.json` there.
        resume_from: the checkpoint to continue from; None: from the beginning.
        told: for the log: the checkpoint and what was passed over, or why the run was moved aside.
    """

    what: Literal["new", "finished", "continue", "extend", "aside"]
    found: dict[str, Any] | None = None
    resume_from: Path | None = None
    told: str = ""


def decide(
    folder: Path, *, signature: str, identity: dict[str, Any], resume: bool, overwrite: bool, demanded: bool
) -> Decision:
    """What the run with this signature does in ``folder``; nothing is changed. Arguments as in ``open_record``."""
    try:
        found = read_result(folder)
    except RunError:
        if not overwrite:
            raise
        return Decision("aside", told=": its result.json could not be read")
    if found is None:
        if demanded and not overwrite:
            raise RunError(
                f"ckpt=last: there is no run in {folder} that could be continued. Name its folder with hydra.run.dir, "
                "or leave ckpt=last out to start it."
            )
        return Decision("new")
    if overwrite:
        return Decision("aside", found)
    same = found.get("signature") == signature
    longer = not same and demanded and _only_longer(found.get("identity", {}), identity)
    if not same and not longer:
        keys = differences(found.get("identity", {}), publishable_values(identity))
        raise RunError(
            f"{folder} holds a run with other settings ({', '.join(keys) or 'unknown'} differ). Give this run "
            "another hydra.run.dir, or set overwrite=true to move the old one aside."
        )
    if found.get("status") == "done":
        damages = verify(folder)
        if damages and (longer or resume):
            raise DamagedRecordError(
                f"{folder} holds a finished run that is damaged: {'; '.join(damages)}. ckpt=never or overwrite=true "
                "moves it aside and runs it again."
            )
        if damages:
            return Decision("aside", found, told=f", as it was damaged: {'; '.join(damages)}")
        if same:
            return Decision("finished", found)
    return _continued(folder, found, longer, demanded) if resume else Decision("aside", found)


def _continued(folder: Path, found: dict[str, Any], longer: bool, demanded: bool) -> Decision:
    checkpoints = folder / "checkpoints"
    last, damages = newest_whole(lambda name: checkpoints / f"{name}.ckpt")
    if last is None and damages and demanded:
        raise CheckpointError(f"ckpt=last: {folder} cannot be continued: {'; '.join(damages)}. ckpt=never starts anew.")
    if last is None and damages:
        return Decision("aside", found, told=f", as it cannot be continued: {'; '.join(damages)}")
    best = checkpoints / "best.ckpt"
    damage = damage_of(best) if last is not None and best.exists() else None
    if damage is not None:
        raise CheckpointError(f"{best} {damage}, so the best epoch is lost. ckpt=never starts the run anew.")
    told = "the beginning, as it has no checkpoint yet" if last is None else last.name
    told += f" ({'; '.join(damages)})" if damages else ""
    return Decision("extend" if longer else "continue", found, last, told)


def _only_longer(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether two identities differ in the number of epochs alone, and the new one has more of them."""
    new = publishable_values(new)
    keys = {key for key in {*old, *new} if old.get(key) != new.get(key)}
    return keys == {_EPOCHS} and isinstance(old.get(_EPOCHS), int) and old[_EPOCHS] < new[_EPOCHS]


def move_aside(folder: Path) -> Path:
    """Move the files of a record, and no others, to the first free `<folder>.old-N`."""
    aside = _free_place(folder)
    for name in OWN_FILES:
        if (folder / name).exists():
            shutil.move(folder / name, aside / name)
    return aside


def keep_copy(folder: Path) -> Path:
    """Copy the files of a record to the first free `<folder>.old-N`; where possible they are hard links.

    The run that goes on replaces its files as a whole, so the links keep what they hold. Its log is appended to.
    """
    aside = _free_place(folder)
    for name in OWN_FILES:
        for file in sorted((folder / name).rglob("*")) if (folder / name).is_dir() else [folder / name]:
            target = aside / file.relative_to(folder)
            if file.name == "train.log":
                shutil.copy2(file, target)
            elif file.is_file() and name not in ("wandb", "tensorboard"):  # what loggers keep is of each attempt
                place_copy(file, target)
    return aside


def _free_place(folder: Path) -> Path:
    number = 1
    while (aside := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    aside.mkdir()
    return aside
