"""`python -m recmm data download`: the files of the known datasets."""
