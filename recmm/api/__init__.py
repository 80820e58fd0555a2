"""recmm from Python: what `import recmm` offers, see its `__all__`."""
