"""Where alerts go when there is no bot: a text stream, said so once."""

from typing import TextIO

from alerts.ports import Delivery, DeliveryState

NO_BOT = "alerts: no Telegram token is configured, so alerts are written here only"


class ConsoleSender:
    """`alerts.ports.Sender` to a stream, for example stderr.

    Args:
        stream: where the messages go.
        announcement: said before the first message; empty for none.
    """

    def __init__(self, stream: TextIO, *, announcement: str = NO_BOT) -> None:
        self._stream = stream
        self._announcement = announcement

    @property
    def name(self) -> str:
        """Name of the channel."""
        return "console"

    @property
    def address(self) -> str:
        """A console has no addresses."""
        return ""

    @property
    def has_html(self) -> bool:
        """A console shows plain text."""
        return False

    def move_to(self, address: str) -> None:
        """A console does not move."""

    async def send(self, text: str, *, is_silent: bool, is_html: bool) -> Delivery:
        """Write the message, its further lines indented."""
        del is_silent, is_html
        announcement = self._announcement + "\n" if self._announcement else ""
        try:
            self._stream.write(f"{announcement}ALERT {text.replace(chr(10), chr(10) + '  ')}\n")
            self._stream.flush()
        except (OSError, ValueError) as error:  # ValueError: the stream was closed
            return Delivery(state=DeliveryState.NOT_SENT, reason=f"console: {error}")
        self._announcement = ""
        return Delivery(state=DeliveryState.DELIVERED)

    async def close(self) -> None:
        """Leave the stream open: it belongs to the caller."""
