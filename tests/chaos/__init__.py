"""Chaos: real nodes, stores, venue and phone on hosts with a network between them that breaks."""
