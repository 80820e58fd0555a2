"""Data in: from raw files to a checked catalogue, with features made here; `python -m recmm data`."""
