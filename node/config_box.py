"""What one box may use before it is warned of or left out, and who outside hears that it lives.

Rules of this file are those of config_model.py, which has the other sections.
"""

from pydantic import Field

from node.config_section import PositiveMs, Section


class HealthConfig(Section):
    """Bounds beyond which a node does not contend for the lease."""

    max_clock_error_ms: PositiveMs = 500
    """Largest uncertainty of the measured offset to the venue's clock, milliseconds. Default 500:
    half of the second by which Binance accepts early requests."""

    min_disk_free_mb: int = Field(default=200, ge=1)
    """Least free space of the state directory's disk, in MB. Default 200."""

    max_temperature_c: float = Field(default=85.0, gt=30, le=120)
    """Hottest believable zone in degrees Celsius. Default 85: where a
    Raspberry Pi throttles hard."""

    max_memory_mb: int = Field(default=400, ge=64)
    """Most resident memory of the node process, in MB. Default 400: four times what it needs."""

    stable_for_s: int = Field(default=600, ge=10)
    """Seconds of good health after which the preferred node counts as fit again. Default 600."""


class DeadmanConfig(Section):
    """Pings to an outside URL, so that total silence is an alarm too. The URLs are secrets."""

    pace_s: float = Field(default=60.0, ge=1, le=3600)
    """Seconds between two pings. Default 60, with a grace of 3 to 5 minutes set at the service;
    healthchecks.io refuses more than five a minute."""

    timeout_s: float = Field(default=10.0, ge=1, le=60)
    """Seconds that the service may take to answer; nothing else waits for it. Default 10."""

    tell_after_s: float = Field(default=300.0, ge=1, le=86_400)
    """Seconds without an answer after which it is told, once. Default 300: about when the service
    itself has raised its alarm."""
