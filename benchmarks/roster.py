"""Who is measured, on which broker."""

from dataclasses import replace

from benchmarks.environments import Contender, Leaves

LEVELS = tuple(f"/delay/{number:02}" for number in range(36))
OURS = Contender(
    "asynctasq",
    "ours.py",
    "at least once",
    tasks=("nap", "thread", "process"),
    leaves=Leaves(queues=("/queue/default", "/dead/default", *LEVELS), exchanges=("/due", *LEVELS)),
)
OURS_IN_TABLES = replace(OURS, prepares=True)
# the loop and the parser that our own distribution brings
FAST = ("uvloop", "hiredis")
# some import it without saying so
UNDECLARED = ("typing-extensions",)
FLOOR = "at least once: the bare client and no tasks"

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
            "taskiq, streams",
            "taskiq_streams.py",
            "at least once",
            ("taskiq", "taskiq-redis", *FAST),
            slowness=2,
        ),
        Contender(
            "taskiq, list",
            "taskiq_list.py",
            "at most once",
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
        Contender(
            "arq", "arq_redis.py", "at least once", ("arq", *FAST), slowness=10, tasks=("nap",)
        ),
        Contender(
            "celery",
            "celery_any.py",
            "at least once with acks_late, as here, after an hour; prefork with -c 2",
            ("celery", "redis", "packaging", *FAST),
            slowness=10,
            tasks=("nap",),
        ),
        Contender("huey", "huey_redis.py", "at most once", ("huey", "redis", *FAST), slowness=4),
        Contender(
            "rq",
            "rq_redis.py",
            "a dead worker's task counts as failed; one after the other",
            ("rq", *FAST),
            slowness=10,
            tasks=(),
        ),
    ],
    "rabbitmq": [
        OURS,
        Contender(
            "aio-pika, multiple acks",
            "aio_pika_multiple.py",
            f"{FLOOR}; quorum queue",
            ("aio-pika", "uvloop"),
            tasks=(),
        ),
        Contender(
            "aio-pika",
            "aio_pika_each.py",
            f"{FLOOR}; quorum queue",
            ("aio-pika", "uvloop"),
            tasks=(),
        ),
        Contender(
            "dramatiq",
            "dramatiq_rabbitmq.py",
            "at least once; classic queue",
            ("dramatiq", "pika", "uvloop"),
            slowness=2,
            leaves=Leaves(queues=("", ".DQ", ".XQ")),
        ),
        Contender(
            "taskiq",
            "taskiq_rabbitmq.py",
            "at least once; quorum queue",
            ("taskiq", "taskiq-aio-pika", "uvloop"),
            slowness=2,
            leaves=Leaves(queues=("", ".dead_letter"), exchanges=("",)),
        ),
        Contender(
            "celery",
            "celery_any.py",
            "at least once with acks_late, as here; classic queue; prefork with -c 2",
            ("celery", "redis", "packaging", *FAST),
            slowness=2,
            tasks=("nap",),
            leaves=Leaves(exchanges=("",)),
        ),
    ],
    "postgres": [
        OURS_IN_TABLES,
        Contender(
            "asyncpg",
            "asyncpg_floor.py",
            FLOOR,
            ("asyncpg", "uvloop"),
            tasks=(),
            prepares=True,
        ),
        Contender(
            "pgqueuer",
            "pgqueuer_postgres.py",
            "at least once",
            ("pgqueuer", "asyncpg", "uvloop"),
            slowness=2,
            tasks=("nap",),
            prepares=True,
        ),
        Contender(
            "saq",
            "saq_postgres.py",
            "at least once",
            ("saq", "psycopg[binary,pool]", *UNDECLARED, "uvloop"),
            slowness=10,
        ),
        Contender(
            "procrastinate",
            "procrastinate_postgres.py",
            "a dead worker's tasks stay as they are, until something retries them",
            ("procrastinate", "psycopg[binary,pool]", "uvloop"),
            slowness=20,
            prepares=True,
        ),
    ],
    "mysql": [
        OURS_IN_TABLES,
        Contender(
            "aiomysql",
            "aiomysql_floor.py",
            FLOOR,
            ("aiomysql", "pymysql<1.2", "uvloop"),  # it cannot pass bytes and lists to newer ones
            tasks=(),
            prepares=True,
        ),
    ],
    "sqlite": [
        OURS,
        Contender("huey", "huey_sqlite.py", "at most once", ("huey", "uvloop"), slowness=4),
    ],
}
