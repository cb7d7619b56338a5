"""A bot's trading, cut down to what counts: one HTTP request to the venue every 0.2 seconds."""

import http.client
import time

PERIOD_S = 0.2
TIMEOUT_S = 1.0


class Sender:
    """Sends orders of one node to the counting venue over one connection."""

    def __init__(self, system: str, node: str, host: str, port: int) -> None:
        """Know where to send; nothing is connected yet."""
        self._path = f"/order?system={system}&node={node}"
        self._connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)

    def send(self) -> None:
        """Send one order, then wait for the next one's time; a failed one is not sent again."""
        try:
            self._connection.request("POST", self._path)
            self._connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
        time.sleep(PERIOD_S)
