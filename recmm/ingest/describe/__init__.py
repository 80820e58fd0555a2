"""`python -m recmm data describe`: statistics of a catalogue."""
