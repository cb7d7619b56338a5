"""One node's configuration, strategies and state in one file, and back (ADR 0051).

`manifest.py` says what a backup is, `pack.py` makes and reads the file, `members.py` decides what
of a state directory comes back and in which form; all pure. `collect.py`, `place.py` and `seal.py`
are the edges: this disk, a target directory, and encryption.
"""
