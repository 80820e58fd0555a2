from recmm.api.data import Data as Data
from recmm.api.data import dataset_from_frames as dataset_from_frames
from recmm.api.data import load_dataset as load_dataset
from recmm.api.runs import Run as Run
from recmm.api.runs import compare as compare
from recmm.api.runs import load_run as load_run
from recmm.api.training import train as train

__version__: str
RESULTS_VERSION: int
__all__ = [
    "RESULTS_VERSION",
    "Data",
    "Run",
    "__version__",
    "compare",
    "dataset_from_frames",
    "load_dataset",
    "load_run",
    "train",
]
