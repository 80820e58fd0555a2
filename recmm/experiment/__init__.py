"""Runs, sweeps and searches: from a configuration to a trained method and its record."""
