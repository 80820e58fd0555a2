"""Real features beside controls: the pairs that are compared, and what is left out."""

from pathlib import Path

import numpy as np
import pytest

from recmm.report.comparison.content import content


def test_each_method_beside_each_control(write_run, results_of, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    def write(model: str, setting: str, hits: int, seed: int = 0, mask_seed: int = 0) -> None:
        replaced = {} if setting == "full" else {"test": setting}
        write_run(
            f"sweep/{model}-{setting}-{seed}-{mask_seed}",
            model=model,
            seed=seed,
            missing={"setting": setting, "rate": None},
            mask_seed=mask_seed,
            values=np.arange(40) < hits,
            masks={"digest": f"{setting}{mask_seed if replaced else ''}", "replaced": replaced},
        )

    for seed in (0, 1):
        write("first", "full", 20 + 2 * seed, seed)
        for mask_seed in (0, 1):
            write("first", "noise", 4, seed, mask_seed)
    write("first", "full", 40, seed=2)  # without a counterpart
    write("second", "full", 10)
    write("second", "noise", 10)
    write("second", "shuffled", 9)
    write("alone", "noise", 9)
    (table,), (sentence,) = content(results_of(tmp_path / "sweep"))
    assert table.columns[:4] == ("real features", "under the control", "kept", "difference")
    shown = {row.labels: [cell.value for cell in row.cells[:4]] for row in table.rows}
    assert shown == {
        ("first", "noise"): [pytest.approx(0.525), 0.1, pytest.approx(0.1 / 0.525), pytest.approx(0.425)],
        ("second", "noise"): [0.25, 0.25, 1.0, 0.0],
        ("second", "shuffled"): [0.25, 0.225, pytest.approx(0.9), pytest.approx(0.025)],
    }
    p = {row.labels: row.cells[-2:] for row in table.rows}
    assert p["first", "noise"][0].value < 0.001 and p["first", "noise"][1].value == 3 * p["first", "noise"][0].value
    assert p["second", "noise"][0].value == 1
    assert table.rows[0].cells[0].n == 2 and table.rows[0].cells[1].n == 4
    assert sentence.startswith(
        "What content contributes to alone on tiktok (split split) under noise: no run with real"
    )


def test_without_a_control_there_is_no_table(made_sweep: Path, results_of) -> None:  # type: ignore[no-untyped-def]
    assert content(results_of(made_sweep)) == ([], [])
