"""The comparison as a W&B workspace, read back with the package that W&B itself reads it with. Nothing is sent."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wandb
import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from wandb_workspaces.workspaces import interface, internal

from recmm.errors import RunError
from recmm.report.wandb import SPECIFICATION, main, write_workspace

RunWriter = Callable[..., Path]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def sweep(write_run: RunWriter, tmp_path: Path) -> Path:
    """Two methods over two rates and two seeds, one of them with two values of lambda1."""
    for rate in (0.1, 0.9):
        for seed in (0, 1):
            about = {"missing": {"rate": rate}, "seed": seed}
            write_run(f"rates/plain-{rate}-{seed}", model="plain", **about)
            for weight in (0.001, 1.0):
                name = f"rates/ci2mg-{rate}-{seed}-{weight}"
                write_run(name, model="ci2mg", config={"model.lambda1": weight}, **about)
    return tmp_path / "rates"


def read_back(folder: Path) -> Any:
    """The workspace that W&B's package makes of the file."""
    content = json.loads((folder / SPECIFICATION).read_text())
    spec = internal.WorkspaceViewspec.model_validate_json(json.dumps(content["spec"]))
    about = {key: content[key] for key in ("entity", "project")}
    return ws.Workspace._from_model(internal.View(**about, display_name=content["name"], name="", id="", spec=spec))


def panels_of(workspace: Any) -> dict[str, list[Any]]:
    return {section.name: section.panels for section in workspace.sections}


def test_offline_the_specification_is_a_file(sweep: Path) -> None:
    assert write_workspace([sweep], project="p", entity="e") is None
    workspace = read_back(sweep)
    assert (workspace.entity, workspace.project, workspace.name) == ("e", "p", "recmm: rates")
    assert list(panels_of(workspace)) == ["Methods", "Missing rates", "Hyper-parameters", "Learning curves"]
    assert workspace.settings.max_runs == 12
    assert workspace.runset_settings.filters == """Metric("State") == 'finished' and Metric("Group") in ['rates']"""


def test_panels_ask_for_what_the_logger_gives(sweep: Path) -> None:
    write_workspace([sweep])
    panels = panels_of(read_back(sweep))
    bars = panels["Methods"][0]
    assert [str(metric.name) for metric in bars.metrics] == ["test/recall@20"]
    assert bars.groupby == wr.Config("record.label") and bars.groupby_aggfunc == "mean"
    line, scatter = panels["Missing rates"][:2]
    assert line.x.name == "missing/rate" and [y.name for y in line.y] == ["test/recall@20"]
    assert line.groupby == wr.Config("record.series")
    assert scatter.x == wr.Config("missing.rate") and scatter.y == wr.SummaryMetric("test/recall@20")
    (parallel,) = panels["Hyper-parameters"]
    assert parallel.title == "ci2mg: hyper-parameters"
    assert [(column.metric, column.log) for column in parallel.columns] == [
        (wr.Config("model.lambda1"), True),
        (wr.SummaryMetric("val/recall@20"), None),
        (wr.SummaryMetric("test/recall@20"), None),
    ]
    assert panels["Learning curves"][-1].media_keys == ["curves"]


def test_nested_configuration_is_asked_for_as_wandb_stores_it(sweep: Path) -> None:
    """The logger leaves the configuration nested; W&B keeps each top-level key under `value`."""
    write_workspace([sweep])
    text = (sweep / SPECIFICATION).read_text()
    for accessor in ("config:model.value.lambda1", "config:missing.value.rate", "record.value.series"):
        assert f'"{accessor}"' in text


def test_what_does_not_vary_gets_no_panel(write_run: RunWriter, tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(f"plain/{seed}", seed=seed)
    write_workspace([tmp_path / "plain"])
    panels = panels_of(read_back(tmp_path / "plain"))
    assert list(panels) == ["Methods", "Learning curves"]
    assert panels["Methods"][0].groupby == wr.Config("record.model")


def test_offline_says_how_to_sync(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([str(sweep), "--project", "p"])
    assert left.value.code == 0
    printed = capsys.readouterr().out
    assert f"wandb sync {sweep}/*/wandb/offline-run-*\n" in printed
    assert f"python -m recmm report wandb {sweep} --project p\n" in printed
    single = next(path.parent for path in sweep.glob("*/result.json"))
    with pytest.raises(SystemExit):
        main([str(single)])
    assert f"wandb sync {single}/wandb/offline-run-*\n" in capsys.readouterr().out


class FakeServer:
    """The views that were saved, by their internal name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.views: dict[str, Any] = {}
        monkeypatch.setenv("WANDB_API_KEY", "k")
        monkeypatch.setattr(wandb, "Api", type("Api", (), {"default_entity": "me"}))
        monkeypatch.setattr(interface, "get_app_url", lambda api: "https://example.org")
        monkeypatch.setattr(internal, "upsert_view2", self.upsert)
        monkeypatch.setattr(internal, "get_view_dict", self.get)

    def upsert(self, view: Any) -> dict[str, Any]:
        self.views[view.name] = view
        return {"upsertView": {"view": {"name": view.name, "id": view.id or f"id-{len(self.views)}"}}}

    def get(self, entity: str, project: str, name: str) -> dict[str, Any]:
        if (found := self.views.get(f"nw-{name}-v")) is None:
            raise ValueError("not found")
        spec = found.spec.model_dump_json(by_alias=True, exclude_none=True)
        return {"id": "id-1", "displayName": found.display_name, "spec": spec}


def test_online_one_workspace_is_created_and_then_updated(
    sweep: Path, write_run: RunWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeServer(monkeypatch)
    url = write_workspace([sweep])
    (view,) = server.views.values()
    assert url is not None and url.startswith("https://example.org/me/recmm?nw=") and view.entity == "me"
    assert json.loads((sweep / SPECIFICATION).read_text())["url"] == url

    write_run("rates/plain-0.5-0", model="plain", missing={"rate": 0.5})
    assert write_workspace([sweep]) == url
    (view,) = server.views.values()
    assert view.spec.section.settings.max_runs == 13 and view.id == "id-1"
    monkeypatch.delenv("WANDB_API_KEY")
    assert write_workspace([sweep]) is None
    assert json.loads((sweep / SPECIFICATION).read_text())["url"] == url, "known again when online"

    monkeypatch.setenv("WANDB_API_KEY", "k")
    server.views.clear()  # deleted on the server
    again = write_workspace([sweep])
    assert again not in (None, url) and len(server.views) == 1


def test_what_wandb_refuses_is_a_sentence(
    sweep: Path, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., tuple[int, str]]
) -> None:
    FakeServer(monkeypatch)

    def refuse(view: Any) -> None:
        raise wandb.errors.CommError("no such project")

    monkeypatch.setattr(internal, "upsert_view2", refuse)
    code, message = refusal("report", "wandb", str(sweep))
    assert code == 1
    assert "CommError: no such project" in message and str(sweep / SPECIFICATION) in message
    assert len(message.splitlines()) == 1 and (sweep / SPECIFICATION).exists()


def test_without_the_package_the_error_names_it(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    with pytest.raises(RunError, match=r"pip install 'recmm\[wandb\]'"):
        write_workspace([sweep])
