"""What the driver makes of a refusal, in the words of every version of the server."""

import pytest
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    ExecAbortError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from asynctasq.errors import BrokerRejected, BrokerUnavailable
from asynctasq_redis.errors import translated
from asynctasq_redis.pool import exchange

#: A refusal inside a script: Redis 6.2 puts it behind the position, later ones before it.
OLD = "Error running script (call to f_0123): @user_script:41: @user_script: 41: -{}"
SHORT = "Error running script (call to f_0123): @user_script:41: -{}"
NEW = "{} script: f_0123, on @user_script:41."
ABORTED = "EXECABORT Transaction discarded because of: {}"

PASSING = {
    "READONLY": "You can't write against a read only replica.",
    "OOM": "command not allowed when used memory > 'maxmemory'.",
    "MISCONF": "Redis is configured to save RDB snapshots, but it's currently unable to persist.",
    "NOREPLICAS": "Not enough good replicas to write.",
    "MASTERDOWN": "Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "LOADING": "Redis is loading the dataset in memory",
    "BUSY": "Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "TRYAGAIN": "Multiple keys request during rehashing of slot",
    "CLUSTERDOWN": "Hash slot not served",
    "MOVED": "3999 127.0.0.1:6381",
    "ASK": "3999 127.0.0.1:6381",
    "UNBLOCKED": "force unblock from blocking operation, instance state changed",
    "NOMASTERLINK": "Can't SYNC while not connected with my master",
}
LASTING = {
    "WRONGTYPE": "Operation against a key holding the wrong kind of value",
    "NOPERM": "this user has no permissions to access one of the keys used as arguments",
    "NOAUTH": "Authentication required.",
    "WRONGPASS": "invalid username-password pair or user is disabled.",
    "BUSYGROUP": "Consumer Group name already exists",
    "NOSUCHCODE": "is a word that means nothing here, nor does BUSY in the middle",
}
FORMS = pytest.mark.parametrize("form", ["{}", OLD, SHORT, NEW, ABORTED])


@FORMS
@pytest.mark.parametrize("code", PASSING)
def test_what_passes_is_unavailable_wherever_its_code_stands(form: str, code: str) -> None:
    error = translated(ResponseError(form.format(f"{code} {PASSING[code]}")), "here")
    assert isinstance(error, BrokerUnavailable)
    assert code == "OOM" or PASSING[code] in str(error) or "replica" in str(error)


@FORMS
@pytest.mark.parametrize("code", LASTING)
def test_what_lasts_is_rejected_wherever_its_code_stands(form: str, code: str) -> None:
    error = translated(ResponseError(form.format(f"{code} {LASTING[code]}")), "here")
    assert isinstance(error, BrokerRejected)


@pytest.mark.parametrize("form", ["{}", OLD, SHORT, NEW, ABORTED])
def test_a_full_server_and_a_replica_are_named_as_such(form: str) -> None:
    full = translated(ResponseError(form.format(f"OOM {PASSING['OOM']}")), "here")
    assert str(full) == "Redis at here is full; raise its maxmemory"
    replica = translated(ResponseError(form.format(f"READONLY {PASSING['READONLY']}")), "here")
    assert str(replica) == "Redis at here is a replica now; write to its master"


@pytest.mark.parametrize(
    "kind",
    [
        *(ReadOnlyError, OutOfMemoryError, BusyLoadingError, MasterDownError),
        *(ClusterDownError, TryAgainError, ConnectionError),
    ],
)
def test_classes_whose_code_was_taken_off_pass(kind: type[RedisError]) -> None:
    assert isinstance(translated(kind("words without a code"), "here"), BrokerUnavailable)


def test_a_slot_that_moves_passes() -> None:
    for kind in (MovedError, AskError):
        error = translated(kind("3999 127.0.0.1:6381"), "here")
        assert isinstance(error, BrokerUnavailable)
        assert "3999 127.0.0.1:6381" in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "max number of clients reached",
        "max number of clients + cluster connections reached",
        SHORT.replace("-{}", "Lua script attempted to execute a command while the cluster is down"),
        "Script attempted to access a non local key in a cluster node",
        SHORT.replace("-{}", "Script killed by user with SCRIPT KILL..."),
    ],
)  # fmt: skip
def test_what_passes_without_a_code_is_unavailable(text: str) -> None:
    assert isinstance(translated(ResponseError(text), "here"), BrokerUnavailable)


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("invalid username-password pair or user is disabled."),
        NoPermissionError("User worker has no permissions to run the 'evalsha' command"),
        ResponseError(SHORT.replace("-{}", "The user executing the script can't run this command")),
        ExecAbortError("Transaction discarded because of previous errors."),
    ],
)
def test_credentials_rights_and_aborts_without_a_cause_are_rejected(error: RedisError) -> None:
    assert isinstance(translated(error, "here"), BrokerRejected)


class OneReply:
    """A connection that gives one reply."""

    is_connected = True

    def __init__(self, reply: Exception) -> None:
        self.reply = reply

    async def can_read(self) -> bool:
        return False

    async def connect(self) -> None: ...

    async def disconnect(self, nowait: bool = False) -> None:
        self.is_connected = False

    async def send_packed_command(
        self, command: list[bytes], check_health: bool = True
    ) -> None: ...

    async def read_response(self) -> object:
        raise self.reply


@pytest.mark.anyio
@pytest.mark.parametrize("form", ["{}", OLD, NEW])
@pytest.mark.parametrize("code", ["READONLY", "MASTERDOWN"])
async def test_the_connection_to_a_former_master_is_left(form: str, code: str) -> None:
    link = OneReply(ResponseError(form.format(f"{code} {PASSING[code]}")))
    assert await exchange(link, [("PING",)]) == [link.reply]
    assert not link.is_connected


@pytest.mark.anyio
async def test_the_connection_to_a_full_server_is_kept() -> None:
    link = OneReply(ResponseError(OLD.format(f"OOM {PASSING['OOM']}")))
    await exchange(link, [("PING",)])
    assert link.is_connected
