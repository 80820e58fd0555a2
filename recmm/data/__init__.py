"""Ground floor: what a catalogue is and how it gets in."""
