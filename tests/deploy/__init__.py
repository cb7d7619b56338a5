"""Tests of what brings hotspare to a machine."""
