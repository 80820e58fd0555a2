"""One reader per on-disk layout; each turns a folder into a MultimodalDataset through ``assembly.assemble``.

The readers of raw interactions, ``csv_table`` and ``amazon``, leave filters and split to whoever imports them.
"""

from recmm.data.formats.canonical import read_canonical
from recmm.data.formats.canonical_writer import write_canonical
from recmm.data.formats.json_splits import read_json
from recmm.data.formats.matrices import read_matrices
from recmm.data.formats.mmrec import read_mmrec

__all__ = ["read_canonical", "read_json", "read_matrices", "read_mmrec", "write_canonical"]
