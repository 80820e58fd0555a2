"""`python -m recmm data import`: other layouts to the canonical one."""
