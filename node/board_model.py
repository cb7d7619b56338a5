"""Values that a board is read as; None or empty: this board does not say."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One address of this machine. `is_leased`: it has an end, as one from DHCP has."""

    text: str
    is_leased: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardReading:
    """One reading of the whole board (resources.Resources is about this process).

    `cpu_busy_s` and `cpu_total_s`: processor seconds of all cores since boot. `written_mb`: to the
    whole `disk` that holds the state directory, since boot. `has_supply_alarm`: undervoltage now.
    `slowed_by`: what slows the processor because of heat now, empty for nothing.
    """

    cpu_busy_s: float | None = None
    cpu_total_s: float | None = None
    memory_free_mb: float | None = None
    disk: str = ""
    written_mb: float | None = None
    has_supply_alarm: bool | None = None
    supply_v: float | None = None
    slowed_by: str | None = None
    is_clock_synchronised: bool | None = None
    addresses: tuple[Address, ...] | None = None

    @property
    def is_card(self) -> bool:
        """Whether the disk is an SD card or eMMC; a USB stick cannot be told from an SSD."""
        return self.disk.startswith("mmcblk")


NOTHING_READ = BoardReading()
