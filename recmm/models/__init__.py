"""One file per paper: a LightningModule that holds the method's equations and nothing else."""

from recmm.models.base import Embeddings, Recommender
from recmm.models.baselines import Popularity, Random
from recmm.models.bm3 import BM3
from recmm.models.ci2mg import CI2MG
from recmm.models.dgmrec import DGMRec
from recmm.models.directau import DirectAU
from recmm.models.dualgnn import DualGNN
from recmm.models.ease import EASE
from recmm.models.ease_features import EASEFeatures
from recmm.models.freedom import FREEDOM
from recmm.models.gfcf import GFCF
from recmm.models.grcn import GRCN
from recmm.models.hccf import HCCF
from recmm.models.i3mrec import I3MRec
from recmm.models.ials import IALS
from recmm.models.invpref import InvPref
from recmm.models.invrl import InvRL
from recmm.models.knn import ItemKNN, UserKNN
from recmm.models.lattice import LATTICE
from recmm.models.lightgcl import LightGCL
from recmm.models.lightgcn import LightGCN
from recmm.models.lightgcn_m import LightGCNM
from recmm.models.mfbpr import MFBPR
from recmm.models.mgcn import MGCN
from recmm.models.milk import MILK
from recmm.models.mmgcl import MMGCL
from recmm.models.mmgcn import MMGCN
from recmm.models.mmssl import MMSSL
from recmm.models.modicf import MoDiCF
from recmm.models.modwalk import ModWalk
from recmm.models.modwalk_fused import ModWalkFused
from recmm.models.ncl import NCL
from recmm.models.ngcf import NGCF
from recmm.models.rp3beta import RP3beta
from recmm.models.sgl import SGL
from recmm.models.sibrar import SiBraR
from recmm.models.simgcl import SimGCL
from recmm.models.slim import SLIM
from recmm.models.slmrec import SLMRec
from recmm.models.smore import SMORE
from recmm.models.training import Training
from recmm.models.vbpr import VBPR
from recmm.models.xsimgcl import XSimGCL

__all__ = [
    "BM3",
    "CI2MG",
    "EASE",
    "FREEDOM",
    "GFCF",
    "GRCN",
    "HCCF",
    "IALS",
    "LATTICE",
    "MFBPR",
    "MGCN",
    "MILK",
    "MMGCL",
    "MMGCN",
    "MMSSL",
    "NCL",
    "NGCF",
    "SGL",
    "SLIM",
    "SMORE",
    "VBPR",
    "DGMRec",
    "DirectAU",
    "DualGNN",
    "EASEFeatures",
    "Embeddings",
    "I3MRec",
    "InvPref",
    "InvRL",
    "ItemKNN",
    "LightGCL",
    "LightGCN",
    "LightGCNM",
    "MoDiCF",
    "ModWalk",
    "ModWalkFused",
    "Popularity",
    "RP3beta",
    "Random",
    "Recommender",
    "SLMRec",
    "SiBraR",
    "SimGCL",
    "Training",
    "UserKNN",
    "XSimGCL",
]
