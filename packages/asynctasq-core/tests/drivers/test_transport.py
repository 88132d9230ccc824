import pytest

from asynctasq.drivers.connection_reset import resets


def test_a_write_to_a_transport_that_was_reset_is_a_lost_connection() -> None:
    words = "unable to perform operation on <TCPTransport closed=True>; the handler is closed"
    with pytest.raises(ConnectionResetError, match="was reset"), resets():
        raise RuntimeError(words)


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="another"), resets():
        raise RuntimeError("another")
