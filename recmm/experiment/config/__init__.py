"""The configuration: its schema, its checks, the objects built from it, and the signature of a run."""
