"""Milliseconds of a training step, method by method, beside LightGCN's and beside what its products alone take.

    python benchmarks/methods.py                                      # on the embedded catalogue
    python benchmarks/methods.py dataset=tiktok_va missing=mtmt       # on real data (RECMM_DATA)
    python benchmarks/methods.py --methods lightgcn,sgl --rounds 5 dataset=tiktok_va

All methods have the same batches, and their rounds alternate in one run. A step is an epoch's seconds, all that happens
at its start included, over its batches. The floor is the time of one step's sparse and dense matrix products and of the
optimiser's update, run again with nothing between them. Products at an epoch's start do not count in it. Ratios of
medians in one run are what counts; milliseconds on a shared machine are not.
"""

import argparse
import statistics

import pytorch_lightning as pl
from epoch import Timed, compose_config
from floor import RecordedStep

METHODS = (
    "lightgcn,mfbpr,vbpr,ngcf,sgl,ncl,hccf,lattice,bm3,mgcn,smore,slmrec,mmgcn,grcn,dualgnn,mmgcl,mmssl,invrl,sibrar,"
    "modicf,dgmrec,freedom,milk,invpref,lightgcn_m,ci2mg,i3mrec"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="configuration as for train.py, e.g. dataset=tiktok_va")
    parser.add_argument(
        "--methods", default=METHODS, help="choices of the group model; the first is the one compared with"
    )
    parser.add_argument("--batch-size", type=int, default=2048, help="triples in a batch, the same for all")
    parser.add_argument("--rounds", type=int, default=3, help="alternations")
    arguments = parser.parse_intermixed_args()
    pl.seed_everything(0, verbose=False)
    common = [f"model.training.batch_size={arguments.batch_size}", "settings=null", "logger=csv", *arguments.overrides]
    methods = {name: Timed(compose_config([f"model={name}", *common])) for name in arguments.methods.split(",")}
    steps = {name: RecordedStep() for name in methods}
    epochs: dict[str, list[float]] = {name: [] for name in methods}
    ranking: dict[str, list[float]] = {name: [] for name in methods}
    floors: dict[str, list[float]] = {name: [] for name in methods}
    for number in range(arguments.rounds):
        for name, timed in methods.items():
            found = timed.round(*([] if number else [steps[name]]))
            epochs[name] += found["train"]
            ranking[name] += found["val"]
            floors[name] += [steps[name].seconds() for _ in range(3)]
    first = None
    print(
        f"{'method':14} {'epoch, s':>9} {'step, ms':>9} {'ratio':>6} {'floor, ms':>10} {'ratio':>6} {'ranking, s':>11}"
    )
    for name, timed in methods.items():
        epoch, floor = statistics.median(epochs[name]), 1000 * statistics.median(floors[name])
        step = 1000 * epoch / -(-len(timed.datamodule.dataset.train) // arguments.batch_size)
        first = first or step
        print(
            f"{name:14} {epoch:9.2f} {step:9.1f} {step / first:6.2f} {floor:10.1f} {step / floor:6.2f}"
            f" {statistics.median(ranking[name]):11.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
