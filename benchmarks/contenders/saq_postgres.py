"""SAQ with PostgreSQL."""

from common import URL
from saq.queue.postgres import PostgresQueue
from saq_any import measure

CONNECTIONS = 30  # with its own 20 it is slower; two such workers must fit into a server's 100

measure(PostgresQueue(url=URL, max_size=CONNECTIONS))
