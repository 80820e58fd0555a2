"""`python -m recmm data import`: converts other layouts into the canonical one."""
