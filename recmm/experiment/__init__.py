"""The run: configuration, identity, training, record."""
