"""What the commands say on how to go on: examples that the commands take, and lines that can be pasted."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from hydra.core.override_parser.overrides_parser import OverridesParser

import recmm
from recmm.ingest.cli.help import help_text, train_line
from recmm.ingest.commands import app

REPOSITORY = Path(recmm.__file__).resolve().parents[1]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_of_the_help_is_taken_by_its_command(name: str) -> None:
    text = COMMANDS[name].help.replace("\\\n", " ")
    examples = re.findall(r"^ +python -m recmm data (.+)$", text, re.MULTILINE)
    assert len(examples) >= 3
    for example in examples:
        command, *arguments = shlex.split(example)
        assert command == name
        assert COMMANDS[name].make_context(name, arguments).params


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_fit_a_terminal_of_80_columns(name: str) -> None:
    lines = [line for line in COMMANDS[name].help.splitlines() if line.startswith(" ")]
    assert max(map(len, lines)) < 78


def test_paragraphs_are_one_line_and_examples_stay_as_written() -> None:
    def command() -> None:
        """Do it.

        Twice or
        more often.

          do it \\
              --twice
        """

    assert help_text(command) == "Do it.\n\nTwice or more often.\n\n  do it \\\n      --twice"


@pytest.mark.parametrize("folder", ["mine", "../a_b-c.d", "my data/ünï", "it's", "a=b,c", "(x)", "[x]", "$HOME", "a#b"])
def test_the_line_to_paste_names_the_folder_to_shell_and_hydra(folder: str) -> None:
    *start, override = shlex.split(train_line(Path(folder), "model=vbpr"))
    assert start == ["python", "train.py", "model=vbpr", "dataset=canonical"]
    assert OverridesParser.create().parse_override(override).value() == folder


def test_help_loads_no_heavy_library() -> None:
    heavy = "torch", "polars", "matplotlib", "numpy", "hydra"
    script = f"""if True:
        import sys
        from recmm.cli import app
        for arguments in (["--help"], ["data", "--help"], *(["data", name, "--help"] for name in {list(COMMANDS)})):
            app(arguments, standalone_mode=False)
        print("loaded:", [name for name in {heavy} if name in sys.modules])
    """
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"
