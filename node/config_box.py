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

    warn_disk_free_mb: int = Field(default=1000, ge=1)
    """Free space of the state directory's disk, in MB, below which you are warned. Default 1000:
    days before the limit of 200, at the pace of logs."""

    warn_temperature_c: float = Field(default=75.0, gt=30, le=120)
    """Degrees Celsius of the hottest believable zone above which you are warned. Default 75: a
    Raspberry Pi begins to slow down at 80."""

    warn_memory_mb: int = Field(default=250, ge=64)
    """Resident memory of the node process, in MB, above which you are warned. Default 250: twice
    what it needs, so something grows."""

    warn_box_memory_mb: int = Field(default=100, ge=0)
    """Memory that the whole box has left, in MB, below which you are warned; 0: never. Default
    100: with less, a board swaps to its card, or the kernel ends the largest process."""

    warn_cpu_percent: float = Field(default=90.0, gt=0, le=100)
    """Share of all cores together, over ten minutes, above which you are warned; 100: never.
    Default 90: then the heartbeat waits for its turn behind somebody else."""

    warn_card_mb_per_day: int = Field(default=5000, ge=1)
    """MB written to an SD card or eMMC in a day above which you are warned. Default 5000: a rule of
    thumb; a 32 GB card for 500 rewrites that each cost four lasts about two years at it. Other
    disks are not judged."""

    warn_supply_v: float = Field(default=4.65, ge=0, le=6)
    """Volts of a 5 V supply below which you are warned, where the board measures them (Jetson
    Nano); 0: never. Default 4.65: about where a Raspberry Pi raises its own alarm, which is told
    too."""

    warn_clock_after_s: int = Field(default=600, ge=0, le=86_400)
    """Seconds that the box's clock may be unsynchronised before you are warned; 0: never. Default
    600: a boot without a clock battery needs some. It never makes a node ineligible."""

    clock_wait_s: int = Field(default=0, ge=0, le=3600)
    """Seconds that a node which has just started stays out while its clock is not synchronised;
    then it is told, and it contends. Default 0: nothing here depends on that clock."""

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
