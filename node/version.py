"""The version of this program, as installed; nodes publish it so that skew can be seen."""

from functools import cache
from importlib import metadata

DISTRIBUTION = "hotspare"
UNKNOWN = "unknown"


@cache  # it reads a file; nodes publish it every second
def program_version() -> str:
    """Return the installed version, "unknown" when it runs from a bare folder."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return UNKNOWN
