"""`python -m recmm data download`: downloads and verifies the files of known datasets."""
