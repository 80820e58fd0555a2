"""The tables of what can be chosen."""

import pytest
from typer.testing import CliRunner

from recmm.cli import app
from recmm.deploy.choices import choices
from recmm.experiment.config.folder import config_folder


@pytest.mark.parametrize("group", ["model", "dataset", "missing", "imputer"])
def test_every_choice_says_something_of_itself(group: str) -> None:
    found = choices(group)
    assert set(found) == {path.stem for path in (config_folder() / group).glob("*.yaml")}
    assert all(len(sentence) > 15 and "Generated from" not in sentence for sentence in found.values())


def test_a_sentence_ends_where_it_ends() -> None:
    assert choices("model")["mgcn"] == (
        "MGCN (Yu et al., MM 2023): multi-view graph convolution on purified modalities"
    )
    assert choices("missing")["modality"].startswith("I3-MRec (MM 2025, Fig. 3)")


@pytest.mark.parametrize(
    ("command", "told"), [("methods", "i3mrec"), ("datasets", "tiktok_va"), ("settings", "feat_prop")]
)
def test_the_commands_list_them(command: str, told: str) -> None:
    done = CliRunner().invoke(app, [command])
    assert done.exit_code == 0 and told in done.stdout


def test_help_of_check_runs_nothing() -> None:
    done = CliRunner().invoke(app, ["check", "--help"])
    assert done.exit_code == 0 and "--records" in done.stdout
