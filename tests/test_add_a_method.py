"""docs/guides/add_a_method.md, followed to the letter."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recmm.data.batches.sampling import PairBatches
from recmm.data.synthetic import synthetic
from recmm.missing.imputers import Random, Zero
from recmm.missing.settings import Rate
from recmm.missing.views import build_views

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "guides" / "add_a_method.md").read_text(encoding="utf-8")
(CODE,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = "".join(re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


def test_the_method_has_the_length_that_the_title_says() -> None:
    assert len([line for line in CODE.splitlines() if line.strip()]) <= 40


def test_hidden_values_change_nothing_and_the_loss_falls() -> None:
    names: dict[str, Any] = {"__name__": "content_mf"}
    exec(compile(CODE, "content_mf.py", "exec"), names)
    dataset = synthetic(n_users=60, n_items=40, seed=0)
    masks = Rate(rate=0.5).draw(dataset)
    zero, noise = (build_views(dataset, masks, imputer)["train"] for imputer in (Zero(), Random()))
    torch.manual_seed(0)
    model = names["ContentMF"](dataset.catalog())
    with torch.no_grad():
        before = [model.represent(view).items for view in (zero, noise)]
    assert torch.equal(*before)
    batch = next(iter(PairBatches(dataset.train, batch_size=256, n_negatives=1)))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    values = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = torch.stack(list(model.losses(batch, zero).values())).sum()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert np.isfinite(values).all() and values[-1] < 0.5 * values[0]


@pytest.mark.slow
def test_the_commands_of_the_page_end_in_a_run(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "content_mf.py").write_text(CODE, encoding="utf-8")
    (tmp_path / "programs").mkdir()
    program = tmp_path / "programs" / "python"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB", "RECMM"))}
    environment |= {"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "WANDB_MODE": "offline"}
    walked = subprocess.run(
        ["bash", "-e", "-c", COMMANDS],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert walked.returncode == 0, walked.stdout[-3000:] + walked.stderr[-3000:]
    assert "# >= 0, weight of 1/2" in (tmp_path / "mine" / "model" / "content_mf.yaml").read_text(encoding="utf-8")
    (record,) = (tmp_path / "multirun_outputs" / "single").glob("*/result.json")
    result = json.loads(record.read_text(encoding="utf-8"))
    assert (result["status"], result["model"]) == ("done", "content_mf")
