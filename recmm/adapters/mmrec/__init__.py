"""Model files in MMRec's interface: ``model=mmrec model.file=gume.py model.config=gume.yaml``."""

from recmm.adapters.mmrec.mmrec import MMRec
from recmm.adapters.mmrec.training import MMRecTraining

__all__ = ["MMRec", "MMRecTraining"]
