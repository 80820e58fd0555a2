"""Lightning starts without torchmetrics' metrics, and they are there for whoever asks."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import recmm, pytorch_lightning
assert "torchmetrics.metric" in sys.modules
assert not {"torchmetrics.functional", "scipy.signal", "transformers"} & set(sys.modules)
from torchmetrics.classification import BinaryAccuracy
import torchmetrics
assert issubclass(torchmetrics.MeanMetric, torchmetrics.Metric) and torchmetrics.functional.accuracy
assert torchmetrics.__version__ and not hasattr(torchmetrics, "no_such_name")
"""


@pytest.mark.slow
def test_torchmetrics_is_loaded_in_full_only_when_a_metric_of_its_own_is_asked_for() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)
