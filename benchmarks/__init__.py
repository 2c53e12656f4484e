"""Side-by-side measurements: the in-process limit, this service, and the servers a user could pick instead."""
