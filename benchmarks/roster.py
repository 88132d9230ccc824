"""Who is measured, on which broker."""

from benchmarks.environments import Contender

OURS = Contender("asynctasq", "ours.py", "at least once")
# the loop and the parser that our own distribution brings
FAST = ("uvloop", "hiredis")
# some import it without saying so
UNDECLARED = ("typing-extensions",)

CONTENDERS = {
    "redis": [
        OURS,
        Contender(
            "repid",
            "repid_streams.py",
            "at least once; a dead worker's tasks wait for good unless claim_interval is set",
            ("repid", "redis", *UNDECLARED, *FAST),
        ),
        Contender(
            "taskiq",
            "taskiq_streams.py",
            "at least once (streams)",
            ("taskiq", "taskiq-redis", *FAST),
            slowness=2,
        ),
        Contender(
            "dramatiq",
            "dramatiq_redis.py",
            "at least once",
            ("dramatiq", "redis", *FAST),
            slowness=2,
        ),
        Contender(
            "saq",
            "saq_redis.py",
            "at least once",
            ("saq", "redis", *UNDECLARED, *FAST),
            slowness=4,
        ),
        Contender("streaq", "streaq_redis.py", "at least once", ("streaq", *FAST), slowness=10),
        Contender("arq", "arq_redis.py", "at least once", ("arq", *FAST), slowness=10),
    ],
    "sqlite": [
        OURS,
        Contender("huey", "huey_sqlite.py", "at most once", ("huey", "uvloop"), slowness=4),
    ],
}
