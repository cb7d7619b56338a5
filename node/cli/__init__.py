"""nodectl: one file per group of verbs."""
