"""Searches for hyper-parameters on validation, with Optuna."""
