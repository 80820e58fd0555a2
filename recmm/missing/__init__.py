"""Which (item, modality) entries are visible in which phase, and how missing entries are imputed."""
