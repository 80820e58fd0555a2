"""The comparison as a W&B workspace: bars by method, curves over rates, parallel coordinates of hyper-parameters."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from recmm.data.files.atomic import replace_atomically
from recmm.errors import RunError
from recmm.offline import wandb_mode
from recmm.report.records.runs import Runs, load_runs
from recmm.report.records.variants import ANY

METRICS = ("recall@20", "ndcg@20")
"""What the panels compare."""

PROJECT = "recmm"
"""As in conf/logger/default.yaml."""

SPECIFICATION = Path("report", "wandb_workspace.json")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def main(arguments: Sequence[str]) -> None:
    """Run the command with these arguments; leaves the process, with exit code 2 for a wrong option.

    Raises:
        RunError: see ``write_workspace``.
    """
    app(args=list(arguments), prog_name="recmm report wandb")


@app.command()
def create(
    folders: Annotated[list[Path], typer.Argument(help="Folders of sweeps or of single runs.", show_default=False)],
    project: Annotated[str, typer.Option(help="The W&B project that has the runs.")] = PROJECT,
    entity: Annotated[str, typer.Option(help="The user or team that has it; yours if not given.")] = "",
) -> None:
    """Create or update a W&B workspace that compares these runs; offline, write its specification to a file only."""
    url = write_workspace(folders, project=project, entity=entity)
    typer.echo(f"specification: {folders[0] / SPECIFICATION}")
    if url:
        typer.echo(f"workspace: {url}")
    else:
        again = ["python -m recmm report wandb", *(shlex.quote(str(folder)) for folder in folders)]
        again += [f"--project {project}"] * (project != PROJECT) + [f"--entity {entity}"] * bool(entity)
        typer.echo(
            "Nothing was sent, as W&B is offline here (no WANDB_API_KEY, or WANDB_MODE says so). To see it on W&B, set "
            f"WANDB_API_KEY and run\n  {_how_to_sync(folders)}\n  {' '.join(again)}"
        )


def write_workspace(folders: Sequence[Path], *, project: str = PROJECT, entity: str = "") -> str | None:
    """Write the specification of a workspace into the first folder and, online, save it on W&B; returns its address.

    It replaces the workspace that an earlier call made for this folder, with all changes that a user made to it.

    Raises:
        RunError: there is no finished run, wandb-workspaces is not installed, or W&B does not take the workspace.
    """
    runs, path = load_runs(folders), folders[0] / SPECIFICATION
    _library()
    url: str | None = json.loads(path.read_text())["url"] if path.exists() else None
    online = wandb_mode() == "online"
    workspace = specify(runs, project=project, entity=(entity or _own_entity()) if online else entity)
    _write(path, workspace, url)
    if not online:
        return None
    url = _publish(workspace, url, path)
    _write(path, workspace, url)
    return url


def specify(runs: Runs, *, project: str, entity: str) -> Any:
    """The workspace (of wandb-workspaces), not yet saved. Sections without a panel are left out.

    Panels read the configuration and summary that `recmm.experiment.loggers` gives to W&B. They show the finished runs
    in the groups of these sweeps.
    """
    ws, _ = _library()
    sections = [_bars(runs), _rate_curves(runs), _hyper_parameters(runs), _learning_curves()]
    groups = sorted(runs.frame["sweep"].unique())
    return ws.Workspace(
        entity=entity,
        project=project,
        name=f"recmm: {', '.join(groups)}",
        sections=[section for section in sections if section.panels],
        settings=ws.WorkspaceSettings(max_runs=max(10, len(runs.frame))),
        runset_settings=ws.RunsetSettings(
            filters=ws.And(ws.Metric("State") == "finished", ws.Metric("Group").isin(groups)),
            order=[ws.Ordering(ws.Summary(f"val/{METRICS[0]}"), ascending=False)],
        ),
    )


def _publish(workspace: Any, url: str | None, path: Path) -> str:
    """Save the workspace on W&B, over the one at ``url`` where that still exists; returns its address."""
    ws, _ = _library()
    try:
        saved = _at(ws, url)
        if saved is None:
            saved = workspace
        else:
            saved.name, saved.sections = workspace.name, workspace.sections
            saved.settings, saved.runset_settings = workspace.settings, workspace.runset_settings
        address: str = saved.save().url
    except Exception as error:  # wandb, its workspaces and their transports raise many kinds
        raise RunError(
            f"W&B did not take the workspace ({type(error).__name__}: {error}). Check WANDB_API_KEY, --entity and "
            f"--project, and that the runs are there (wandb sync). The specification is in {path}."
        ) from error
    return address


def _own_entity() -> str:
    import wandb

    try:
        return wandb.Api().default_entity or ""
    except Exception as error:  # as above
        raise RunError(
            f"W&B does not return your default entity ({error}). Check WANDB_API_KEY, or give --entity."
        ) from error


def _at(ws: Any, url: str | None) -> Any:
    try:
        return ws.Workspace.from_url(url) if url else None
    except ValueError:  # deleted in the meantime
        return None


def _bars(runs: Runs) -> Any:
    """The metrics of test by method, or by method and condition where runs have several conditions."""
    ws, wr = _library()
    frame = runs.frame
    conditions = frame.filter(pl.col("condition") != ANY).select("dataset", "condition")
    several = conditions.n_unique() > 1 or frame["dataset"].n_unique() > 1
    averaged = "seeds and hyper-parameters" if any(runs.hyper_parameters.values()) else "seeds"
    bars = [
        wr.BarPlot(
            title=f"test {metric}, mean over {averaged}, whiskers: standard deviation",
            metrics=[f"test/{metric}"],
            groupby=wr.Config("record.label" if several else "record.model"),
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
            max_runs_to_show=len(frame),
            max_bars_to_show=len(frame),
        )
        for metric in METRICS
    ]
    return ws.Section(name="Methods", is_open=True, panels=bars)


def _rate_curves(runs: Runs) -> Any:
    """For each rate of the missing setting that varies: curves by method, and the runs one by one."""
    ws, wr = _library()
    columns = [name for name in runs.frame.columns if name.startswith("config/missing.") and name.endswith("rate")]
    keys = [name.removeprefix("config/") for name in columns if runs.frame[name].drop_nulls().n_unique() > 1]
    panels = []
    for key in keys:
        for metric in METRICS:
            panels += [
                wr.LinePlot(
                    title=f"test {metric} over {key}, mean over seeds",
                    x=key.replace(".", "/"),
                    y=[f"test/{metric}"],
                    groupby=wr.Config("record.series"),
                    groupby_aggfunc="mean",
                    groupby_rangefunc="stddev",
                    max_runs_to_show=len(runs.frame),
                ),
                wr.ScatterPlot(
                    title=f"test {metric} over {key}, every run",
                    x=wr.Config(key),
                    y=wr.SummaryMetric(f"test/{metric}"),
                ),
            ]
    return ws.Section(name="Missing rates", is_open=True, panels=panels)


def _hyper_parameters(runs: Runs) -> Any:
    """For each model with several variants: the hyper-parameters that vary, with the metric on validation and test."""
    ws, wr = _library()
    panels = []
    for model, columns in sorted(runs.hyper_parameters.items()):
        frame = runs.frame.filter(model=model)
        axes = [
            wr.ParallelCoordinatesPlotColumn(
                metric=wr.Config(name.removeprefix("config/")), log=_spans_decades(frame[name])
            )
            for name in columns
        ]
        metrics = [wr.SummaryMetric(f"{split}/{METRICS[0]}") for split in ("val", "test")]
        if axes:
            axes += [wr.ParallelCoordinatesPlotColumn(metric=metric) for metric in metrics]
            panels.append(wr.ParallelCoordinatesPlot(title=f"{model}: hyper-parameters", columns=axes))
    return ws.Section(name="Hyper-parameters", is_open=True, panels=panels)


def _learning_curves() -> Any:
    ws, wr = _library()
    panels = [
        wr.LinePlot(
            title=f"{name} by epoch",
            x="epoch",
            y=[name],
            groupby=wr.Config("record.label"),
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
        )
        for name in (f"val/{METRICS[0]}", "train/loss")
    ]
    pictures = wr.MediaBrowser(title="Curves of every run", media_keys=["curves"])
    return ws.Section(name="Learning curves", panels=[*panels, pictures])


def _spans_decades(values: pl.Series) -> bool | None:
    """Whether an axis should be logarithmic: True for positive numbers over two decades or more, else None."""
    numbers = values.drop_nulls()
    if not numbers.dtype.is_numeric() or numbers.is_empty():
        return None
    smallest, largest = float(numbers.min()), float(numbers.max())  # type: ignore[arg-type]
    return True if smallest > 0 and largest >= 100 * smallest else None


def _write(path: Path, workspace: Any, url: str | None) -> None:
    """Write the specification, with the address of the workspace that it was last saved as."""
    view = workspace._to_model()  # the package has no public way to its specification
    content = {
        "url": url,
        "entity": view.entity,
        "project": view.project,
        "name": view.display_name,
        "spec": view.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
    replace_atomically(path, json.dumps(content, indent=1))


def _how_to_sync(folders: Sequence[Path]) -> str:
    patterns = [
        folder / ("wandb" if (folder / "result.json").exists() else "*/wandb") / "offline-run-*" for folder in folders
    ]
    return "wandb sync " + " ".join(map(str, patterns))


def _library() -> tuple[Any, Any]:
    try:
        import wandb_workspaces.reports.v2 as wr
        import wandb_workspaces.workspaces as ws
    except ModuleNotFoundError as error:
        raise RunError(
            "A W&B workspace needs the package wandb-workspaces, which is not installed: pip install 'recmm[wandb]'."
        ) from error
    return ws, wr
