"""A local exchange that speaks Binance's spot REST API, for trying, testing and drilling.

The core is pure (values.py, refusals.py, filters.py, orders.py, account.py, book.py, market.py,
feed.py, weights.py, faults.py, venue.py, codec.py, answers.py); the edges are wal.py (disk),
server.py with its routes (HTTP), process.py (starting it as a child). Nothing else of exchange/
is imported: the node must reach it only over HTTP, exactly as it reaches the real host.

Source of the rules: Binance's public spot documentation (rest-api, filters, errors).
"""
