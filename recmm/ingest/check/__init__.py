"""`python -m recmm data check`: every fault of a catalogue in one pass."""
