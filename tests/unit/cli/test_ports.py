"""Ports: the one asked for, the first free, or any."""

import socket

import pytest

from opentalking.cli import ports


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_somebody_listens_on_is_not_free(taken_port):
    assert not ports.is_free("127.0.0.1", taken_port)


def test_a_port_is_free_again_once_its_server_has_closed():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            accepted.close()  # the server's end goes first and stays in TIME_WAIT
            assert client.recv(1) == b""
    assert ports.is_free("127.0.0.1", port)


def test_an_address_that_is_not_this_machines_is_not_free():
    assert not ports.is_free("203.0.113.1", 0)
    assert not ports.is_free("no such host.invalid", 0)


def test_the_first_free_port_is_beyond_the_taken_one(taken_port):
    found = ports.first_free(taken_port)
    assert found != taken_port
    assert ports.is_free("127.0.0.1", found)


def test_a_busy_port_is_refused_by_the_name_of_its_setting(taken_port):
    with pytest.raises(ports.PortBusy, match=f"OPENTALKING_API_PORT={taken_port}: .* Choose another"):
        ports.wanted("OPENTALKING_API_PORT", taken_port)


def test_a_free_port_is_taken_as_asked():
    port = ports.any_free()
    assert ports.wanted("OPENTALKING_API_PORT", port) == port
