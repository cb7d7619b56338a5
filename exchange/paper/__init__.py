"""A local exchange that speaks Binance's spot REST API, for trying, testing and drilling."""
