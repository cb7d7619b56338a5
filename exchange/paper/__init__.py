"""A local exchange that speaks Binance's spot REST API, for trying, testing and drilling.

The core is pure: values.py, refusals.py, orders.py, filters.py, account.py, book.py, state.py,
venue.py, feed.py, weights.py, faults.py, calls.py, codec.py, answers.py. runtime.py puts state,
prices and log together. The edges are candles.py and opening.py (files), wal.py (log), server.py
with the *_routes.py and broken.py (HTTP), app.py and __main__.py (the process), process.py
(starting it as a child). Nothing else of exchange/ is imported: the node must reach it only over
HTTP, exactly as it reaches the real host.

Source of the rules: Binance's public spot documentation (rest-api, filters, errors).
"""
