"""Exports of a run: the forms that other software reads, and the model card."""
