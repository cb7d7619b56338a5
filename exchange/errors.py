"""The exception tree of exchange/, named by what the caller should do.

VenueError
├── VenueUnavailable     wait and look again; reads only (a write never raises, it has an outcome)
│   ├── VenueRateLimited wait at least `retry_after_s` before the next call of any kind
│   ├── VenueMaintenance the venue says itself that it is closed for everybody
│   └── AnswerUntrusted  the answer was no answer (HTML, empty, cut, impossible values)
├── VenueRefused         a person must act: key, permission, symbol, address; `code` says which
└── ConfigurationRefused the venue or its settings are not supported; the message says what is
JournalError             the disk copy cannot be read or written; the message says how to mend it
└── JournalCorrupt       the file was set aside; treat its content as absent and tell a person
IllegalTransition        our own bug: halt and tell a person, do not repair
"""


class VenueError(Exception):
    """Something went wrong between us and the venue."""


class VenueUnavailable(VenueError):  # noqa: N818  (named by what the caller does)
    """No usable answer within the budget; look again later."""


class VenueRateLimited(VenueUnavailable):
    """The venue asked us to be quiet (429, or 418 = banned)."""

    def __init__(self, message: str, *, retry_after_s: float, is_ban: bool) -> None:
        """Keep how long to wait, in seconds, and whether it is a ban of the address."""
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.is_ban = is_ban


class VenueMaintenance(VenueUnavailable):
    """The venue is closed for maintenance, for everybody alike."""


class AnswerUntrusted(VenueUnavailable):
    """The venue's answer cannot be trusted, so it is not an answer."""


class VenueRefused(VenueError):  # noqa: N818
    """The venue understood and said no; trying again will not help."""

    def __init__(self, message: str, *, code: str | None) -> None:
        """Keep the venue's own code."""
        super().__init__(message)
        self.code = code


class ConfigurationRefused(VenueError):  # noqa: N818
    """The configured venue cannot be used; the message says what can."""


class JournalError(Exception):
    """The journal could not be read or written."""


class JournalCorrupt(JournalError):  # noqa: N818
    """The journal's file is damaged; it was set aside under the name in the message."""


class IllegalTransition(AssertionError):  # noqa: N818  (it is an event that cannot happen)
    """An order intent was given an event that its state does not allow; our own bug."""
