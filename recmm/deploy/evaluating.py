"""`python -m recmm evaluate`: a trained run under another missing setting, imputer or candidates, as a record."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recmm.deploy.again import Trained, load_trained
from recmm.experiment.callbacks import Checkpoints, KeepRankings
from recmm.experiment.config.identity import published_identity, signature, uses_modalities
from recmm.experiment.progress import print_closing
from recmm.experiment.records import Record, open_record
from recmm.experiment.run import complete, describe, make_trainer, monitor_of
from recmm.experiment.tables import RankingTables


def evaluate_again(run: Path, changes: Sequence[str]) -> Path:
    """Validate and test the trained run as ``changes`` say; returns the folder of the new record.

    It is `<run>.evaluated/<missing>-<8 hex>`, beside the run. An evaluation that is there already is not made again.
    The record's model names what it was trained under, so that no report averages it with runs that were trained under
    the setting itself.

    Raises:
        RecmmError: see ``load_trained``.
    """
    trained = load_trained(run, changes)
    cfg, datamodule = trained.cfg, trained.datamodule
    about: dict[str, Any] = {
        "data_digest": datamodule.dataset.digest,
        "split_name": datamodule.dataset.split.name,
        "uses_modalities": uses_modalities(cfg),
    }
    origin = trained.result["signature"]
    own = hashlib.sha256(f"{origin} {signature(cfg, **about)}".encode()).hexdigest()[:16]
    identity = published_identity(cfg, **about) | {"evaluated.signature": origin}
    beside = trained.folder.absolute()
    folder = beside.with_name(f"{beside.name}.evaluated") / f"{trained.choices['missing']}-{own[:8]}"
    with open_record(folder, signature=own, identity=identity, resume=False, overwrite=False) as record:
        if not record.finished:
            record.write_config(cfg)
            model = f"{trained.choices['model']} (trained with {trained.result['missing']})"
            record.update(monitor=monitor_of(cfg), **describe(cfg, trained.choices | {"model": model}, datamodule))
            with record.writing("masks.npz") as path:
                datamodule.masks.save(path)
            _rank(trained, record)
    print_closing(record.result, folder)
    return folder


def _rank(trained: Trained, record: Record) -> None:
    """Validation and test with the trained weights, and the record's tables."""
    cfg, tables = trained.cfg, RankingTables()
    checkpoints = Checkpoints(record, monitor=monitor_of(cfg), method={})
    checkpoints.best_epoch = trained.result["best_epoch"]
    cfg.trainer.devices, cfg.trainer.strategy = 1, "auto"
    trainer = make_trainer(cfg.trainer, [], [KeepRankings(tables)])
    trainer.validate(trained.model, trained.datamodule, verbose=False)
    trainer.test(trained.model, trained.datamodule, verbose=False)
    complete(record, trained.datamodule, tables, checkpoints, trained.model.results)
    record.result["epochs"] = trained.result["epochs"]
