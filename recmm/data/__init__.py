"""The data layer: what a catalogue is, and how it is read from files."""
