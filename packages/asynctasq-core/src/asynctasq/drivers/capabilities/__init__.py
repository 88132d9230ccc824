"""Optional capabilities of drivers, as small protocols checked with ``isinstance``.

Every method may raise `BrokerUnavailable` or `BrokerRejected`, as on the seam, and each protocol
has its own contract class in `asynctasq.testing.contract`.
"""
