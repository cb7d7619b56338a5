"""Random changes of the lease code, and how many of them the tests notice."""
