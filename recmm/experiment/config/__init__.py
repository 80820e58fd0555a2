"""The configuration: its types, its checks, the objects that it names, and what identifies a run."""
