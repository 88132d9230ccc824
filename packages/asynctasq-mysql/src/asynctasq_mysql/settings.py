"""The settings of the MySQL driver."""

from typing import ClassVar

from pydantic import Field, SecretStr, field_validator, model_validator

from asynctasq.drivers import DriverSettings
from asynctasq_mysql.names import Tables, name_parts
from asynctasq_mysql.url import Target, parse_dsn


class MySQLSettings(DriverSettings):
    """The server's DSN, the tables for messages, and the size of the connection pool.

    Attributes:
        mysql_dsn: ``mysql://user:password@host:3306/database``, with ``?ssl_mode=``, ``ssl_ca=``,
            ``ssl_cert=``, ``ssl_key=`` or ``unix_socket=``.
        mysql_queue_table: holds waiting and running messages; three more tables use its name as
            their prefix.
        mysql_dead_letter_table: holds dead messages with their errors.
        mysql_min_pool_size: connections opened on connect.
        mysql_max_pool_size: maximum number of connections; a waiting dequeue holds none.
    """

    url_field: ClassVar[str | None] = "mysql_dsn"
    client_loggers: ClassVar[tuple[str, ...]] = ("aiomysql", "pymysql")
    mysql_dsn: SecretStr = SecretStr("mysql://localhost:3306/asynctasq")
    mysql_queue_table: str = "asynctasq_queue"
    mysql_dead_letter_table: str = "asynctasq_dead_letters"
    mysql_min_pool_size: int = Field(default=1, ge=1)
    mysql_max_pool_size: int = Field(default=10, ge=1)

    @field_validator("mysql_dsn")
    @classmethod
    def _dsn_is_valid(cls, value: SecretStr) -> SecretStr:
        parse_dsn(value.get_secret_value())
        return value

    @field_validator("mysql_queue_table", "mysql_dead_letter_table")
    @classmethod
    def _table_is_valid(cls, value: str) -> str:
        name_parts(value)
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> "MySQLSettings":
        if self.mysql_min_pool_size > self.mysql_max_pool_size:
            raise ValueError("mysql_min_pool_size: is larger than mysql_max_pool_size")
        if len(set(self.tables().all())) < len(self.tables().all()):
            raise ValueError("mysql_dead_letter_table: is a table with other contents already")
        return self

    def target(self) -> Target:
        """Return the server to connect to."""
        return parse_dsn(self.mysql_dsn.get_secret_value())

    def tables(self) -> Tables:
        """Return the tables' names, quoted for statements."""
        database = self.target().database
        return Tables.of(database, self.mysql_queue_table, self.mysql_dead_letter_table)

    def location(self) -> str:
        """Return the DSN without the password."""
        return self.target().label()
