"""`python -m recmm data ...`: commands that download, import, encode, check and describe catalogues."""
