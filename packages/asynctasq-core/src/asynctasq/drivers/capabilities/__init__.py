"""What only some brokers can do, as small protocols found with ``isinstance``.

Every method may raise `BrokerUnavailable` or `BrokerRejected`, as on the seam, and each protocol
has its own contract class in `asynctasq.testing.contract`.
"""
