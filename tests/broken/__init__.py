"""Rules broken one at a time, and the proof that each break is noticed."""
