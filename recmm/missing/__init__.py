"""Which (item, modality) entries are visible in which phase, and how holes are filled."""
