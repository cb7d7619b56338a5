"""Mutants that change nothing that can be observed, by key, each with the reason."""

from collections.abc import Mapping

EQUIVALENT: Mapping[str, str] = {}
