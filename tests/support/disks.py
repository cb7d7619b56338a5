"""Small disks for tests that fill and spoil them."""

from pathlib import Path


def fill(folder: Path) -> Path:
    """Take the last byte of a file system; return the file that did."""
    path = folder / "ballast"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return path
