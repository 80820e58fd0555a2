"""Blocks that methods are built from."""
