"""Sweeps: every combination of the given values, started again where they stopped."""
