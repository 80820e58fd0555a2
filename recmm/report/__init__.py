"""Reads records of finished runs, and nothing else: tables, comparisons, pictures."""
