"""One file per paper: a LightningModule that holds the method's equations and nothing else."""

from recmm.models.base import Embeddings, Recommender, Training
from recmm.models.floors import Popularity, Random
from recmm.models.i3mrec import I3MRec
from recmm.models.lightgcn import LightGCN
from recmm.models.mfbpr import MFBPR

__all__ = ["MFBPR", "Embeddings", "I3MRec", "LightGCN", "Popularity", "Random", "Recommender", "Training"]
