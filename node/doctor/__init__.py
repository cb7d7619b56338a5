"""Whether this cluster is set up to survive what it is meant to survive."""
