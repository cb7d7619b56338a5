"""Drills: hurting a running pair on purpose, measuring what happens, judging it."""
