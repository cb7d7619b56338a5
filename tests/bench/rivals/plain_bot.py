"""A bot that trades as long as it runs: keepalived's notify script starts and stops it.

python plain_bot.py NODE VENUE_HOST VENUE_PORT
"""

import sys

from tests.bench.rivals.orders import Sender

if __name__ == "__main__":
    NODE, HOST, PORT = sys.argv[1:]
    SENDER = Sender("keepalived", NODE, HOST, int(PORT))
    while True:
        SENDER.send()
