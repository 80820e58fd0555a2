"""One reader per on-disk layout; each turns a folder into a MultimodalDataset through ``dataset.assemble``."""

from recmm.data.formats.canonical import read_canonical, write_canonical
from recmm.data.formats.matrices import read_matrices
from recmm.data.formats.mmrec import read_mmrec

__all__ = ["read_canonical", "read_matrices", "read_mmrec", "write_canonical"]
