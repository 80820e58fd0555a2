"""Optimal transport: how near sparse plans are to the exact one, and what a refresh costs as the catalogue grows.

    python benchmarks/transport.py quality                            # TikTok-VA (RECMM_DATA), as CI2MG starts
    python benchmarks/transport.py quality --checkpoint RUN_FOLDER    # Q of a finished run's best epoch
    python benchmarks/transport.py quality --embeddings trained.pt    # two modalities: name -> [n_items, d]
    python benchmarks/transport.py scaling --sizes 5000,20000

``quality`` compares the barycentric projections T y of sparse plans and of the exact dense plan, less their means over
the items, by the mean cosine of their rows. ``scaling`` times refreshes on made clouds, each size in a process of its
own. Tables go to the terminal, figures to ``--output``.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from recmm.experiment.config.build import build
from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.jobs import jobs
from recmm.experiment.machine import peak_memory_mb
from recmm.nn.transport import Plan, TransportSettings, solve

matplotlib.use("Agg")
from matplotlib import pyplot as plt

DIM = 64
PER_CLUSTER = 50
WITHIN = 0.5  # standard deviation of an item around its cluster's centre, whose own is 1
MOVED = 0.01  # of the clouds' standard deviation, between a refresh and the next
BAR = 0.90
SECONDS_PER = 1_000  # items
Clouds = tuple[Tensor, Tensor]


def integers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def rates(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


# ---------------------------------------------------------------------------------------------------- quality


@torch.no_grad()
def clouds_of(cfg: DictConfig, checkpoint: Path | None = None) -> dict[str, Clouds]:
    """F^V and Q of CI2MG's training view (Eq. 1 and 5), at initialisation or from a checkpoint."""
    datamodule = build(cfg.dataset)
    datamodule.configure(missing=build(cfg.missing), imputer=build(cfg.imputer))
    view = datamodule.view("train")
    torch.manual_seed(0)
    model = build(cfg.model, catalog=datamodule.catalog)
    if checkpoint is not None:
        model.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"])
    _, _, items = model.inputs(view)
    if checkpoint is None:
        model.hypergraph.seed(items, view.mask)
    q = model.within(items)
    return {name: (cloud[:, 0], cloud[:, 1]) for name, cloud in {"F^V": items, "Q": q}.items()}


def cases(arguments: argparse.Namespace) -> dict[str, Clouds]:
    if arguments.embeddings:
        source, target = torch.load(arguments.embeddings, weights_only=True).values()
        return {arguments.embeddings.stem: (source, target)}
    if arguments.checkpoint:
        cfg = OmegaConf.load(arguments.checkpoint / "config.yaml")
        assert isinstance(cfg, DictConfig)
        found = clouds_of(cfg, arguments.checkpoint / "checkpoints" / "best.ckpt")
        return {"Q, best checkpoint": found["Q"]}
    every = {}
    for rate in arguments.missing:
        overrides = ["dataset=tiktok_va", "model=ci2mg", "imputer=mean", "settings=null", "logger=csv"]
        (cfg,) = jobs([*overrides, "missing=rate", f"missing.rate={rate}"], config_folder())
        every |= {f"{name}, {rate:.0%} missing": found for name, found in clouds_of(cfg).items()}
    return every


def sparse_plan(x: Tensor, y: Tensor, n_neighbours: int, perplexity: float, exact: Plan) -> Plan:
    """A sparse plan at this perplexity; of supports too small for it, at the exact plan's epsilon."""
    if n_neighbours >= 2 * perplexity:
        return solve(x, y, TransportSettings(method="sparse", n_neighbours=n_neighbours, perplexity=perplexity))
    settings = TransportSettings(method="sparse", n_neighbours=n_neighbours, epsilon=1.0)  # the absolute one counts
    return solve(x, y, settings, epsilon=exact.epsilon)


def cosines(a: Tensor, b: Tensor) -> Tensor:
    """[N], between centred rows; 0 where one of them is zero."""
    return F.cosine_similarity(a - a.mean(0), b - b.mean(0), dim=1)


def quality(arguments: argparse.Namespace) -> None:
    figure, axis = plt.subplots(figsize=(6, 4))
    for name, (source, target) in cases(arguments).items():
        order = torch.randperm(len(source), generator=torch.Generator().manual_seed(0))[: arguments.items]
        x, y = source[order], target[order]
        dense = solve(x, y, TransportSettings(method="dense", perplexity=arguments.perplexity))
        exact = dense.apply(y)
        identity = float(cosines(y, exact).mean())
        print(f"\n{name}: {len(x):,} items, {dense.n_distinct:,} of them distinct\n")
        print("| plan | support size | entries per row | cosine | its 10 % quantile | perplexity | marginal error |")
        print("|---|---|---|---|---|---|---|")
        print(f"| exact | {len(x):,} | {len(x):,} | 1 | 1 | {dense.perplexity:.1f} | {dense.marginal_error:.0e} |")
        curve = []
        for k in arguments.neighbours:
            plan = sparse_plan(x, y, k, arguments.perplexity, dense)
            entries = plan.tensors()["values"].numel() / len(plan.source.mass) if "values" in plan.tensors() else len(x)
            rows = cosines(plan.apply(y), exact)
            curve.append(float(rows.mean()))
            print(
                f"| sparse | {k} | {entries:.0f} | {curve[-1]:.3f} | {float(rows.quantile(0.1)):.3f} "
                f"| {plan.perplexity:.1f} | {plan.marginal_error:.0e} |",
                flush=True,
            )
        print(f"| identity | 1 | 1 | {identity:.3f} | {float(cosines(y, exact).quantile(0.1)):.3f} | 1 | 0 |")
        print(f"| uniform | {len(x):,} | {len(x):,} | 0 | 0 | {dense.n_distinct:,} | 0 |")
        (line,) = axis.plot(arguments.neighbours, curve, "o-", label=f"sparse, {name}")
        axis.axhline(identity, linestyle="--", color=line.get_color(), label=f"identity, {name}")
    axis.axhline(0, linestyle="--", color="grey", label="uniform")
    axis.axhline(BAR, linestyle=":", color="black", label=f"bar {BAR:.2f}")
    axis.set(xscale="log", xlabel="support size (candidates per row and per column)", ylim=(None, 1.02))
    axis.set_ylabel("mean cosine with the exact plan")
    axis.set_xticks(arguments.neighbours, [str(k) for k in arguments.neighbours])
    axis.minorticks_off()
    axis.legend(fontsize=7)
    save(figure, arguments.output, "transport_quality.png")


# ---------------------------------------------------------------------------------------------------- scaling


def made(n: int) -> Clouds:
    """Two modalities of a mixture of about n / 50 clusters; a linear map relates its centres, up to noise."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    n_clusters = max(n // PER_CLUSTER, 1)
    cluster = torch.randint(n_clusters, (n,), generator=generator)
    first = normal(n_clusters, DIM)
    second = first @ normal(DIM, DIM) / DIM**0.5 + WITHIN * normal(n_clusters, DIM)
    return first[cluster] + WITHIN * normal(n, DIM), second[cluster] + WITHIN * normal(n, DIM)


def measure(n: int) -> dict[str, float]:
    """Seconds of a cold and of a warm refresh, peak memory of this process before and after them in MB."""
    settings = TransportSettings(method="sparse")
    solve(*made(600), settings)  # first calls are slow
    x, y = made(n)
    generator = torch.Generator().manual_seed(1)
    moved = [cloud + MOVED * cloud.std() * torch.randn(cloud.shape, generator=generator) for cloud in (x, y)]
    before, start = peak_memory_mb()["host"], time.perf_counter()
    plan = solve(x, y, settings)
    cold = time.perf_counter() - start
    start = time.perf_counter()
    plan = solve(*moved, settings, start=plan)
    return {
        "cold": cold,
        "warm": time.perf_counter() - start,
        "before": before,
        "peak": peak_memory_mb()["host"],
        "error": plan.marginal_error,
        "perplexity": plan.perplexity,
    }


def scaling(arguments: argparse.Namespace) -> None:
    print("| items | cold | cold, per 1,000 items | warm | warm, per 1,000 items | peak memory ", end="")
    print("| of it clouds and libraries | marginal error | perplexity |\n|---|---|---|---|---|---|---|---|---|")
    rows = []
    for n in arguments.sizes:
        command = [sys.executable, __file__, "scaling", "--one", f"--sizes={n}", f"--threads={arguments.threads}"]
        environment = os.environ | {"OMP_NUM_THREADS": str(arguments.threads)}
        output = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
        row = json.loads(output.splitlines()[-1])
        rows.append(row)
        seconds = " | ".join(f"{row[kind]:.1f} s | {row[kind] / n * SECONDS_PER:.2f} s" for kind in ("cold", "warm"))
        print(
            f"| {n:,} | {seconds} | {row['peak']:,.0f} MB | {row['before']:,.0f} MB | {row['error']:.0e} "
            f"| {row['perplexity']:.1f} |",
            flush=True,
        )
    sizes = np.array(arguments.sizes, dtype=float)
    figure, axis = plt.subplots(figsize=(5, 4))
    for kind in ("cold", "warm"):
        label, seconds = f"{kind} refresh", np.array([row[kind] for row in rows])
        if len(sizes) > 1:
            exponent, _ = np.polyfit(np.log(sizes), np.log(seconds), 1)
            label += f", N^{exponent:.2f}"
            print(f"\nSeconds of a {kind} refresh grow as N^{exponent:.2f}.")
        axis.plot(sizes, seconds, "o-", label=label)
    axis.plot(sizes, rows[0]["cold"] * sizes / sizes[0], "--", color="grey", label="slope 1")
    axis.set(xscale="log", yscale="log", xlabel="items", ylabel="seconds")
    axis.legend()
    save(figure, arguments.output, "transport_scaling.png")


def save(figure: plt.Figure, folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / name, dpi=110, bbox_inches="tight")
    print(f"\nfigure: {folder / name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    part = parts.add_parser("quality", help="sparse plans against the exact one, over the support size")
    part.add_argument("--embeddings", type=Path, help="a file of torch.save: two modalities, name -> [n_items, d]")
    part.add_argument("--checkpoint", type=Path, help="the folder of a finished CI2MG run on two modalities")
    part.add_argument("--items", type=int, default=2_000, help="a random sample, always the same one")
    part.add_argument("--missing", type=rates, default=[0.0, 0.9], help="rates, comma separated")
    part.add_argument("--neighbours", type=integers, default=[16, 32, 64, 96, 128, 192, 256, 512])
    part.add_argument("--perplexity", type=float, default=32.0, help="of the exact plan")
    part.set_defaults(run=quality)
    part = parts.add_parser("scaling", help="seconds and memory of a refresh, over the number of items")
    part.add_argument("--sizes", type=integers, default=[5_000, 10_000, 20_000, 23_033, 50_000, 100_000])
    part.add_argument("--threads", type=int, default=2, help="of each process")
    part.add_argument("--one", action="store_true", help="measure the first size here, and print it as JSON")
    part.set_defaults(run=scaling)
    for part in parts.choices.values():
        part.add_argument("--output", type=Path, default=Path("multirun_outputs/benchmarks"), help="folder of figures")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", ".*Sparse CSR tensor support is in beta.*")
    if arguments.part == "scaling" and arguments.one:
        torch.set_num_threads(arguments.threads)
        print(json.dumps(measure(arguments.sizes[0])))
        return
    arguments.run(arguments)


if __name__ == "__main__":
    main()
