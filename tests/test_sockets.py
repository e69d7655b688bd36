"""What an address of the configuration is bound to."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from fastsmtp.errors import StartError
from fastsmtp.sockets import bind


@pytest.mark.parametrize(
    ("address", "family", "host"),
    [
        ("127.0.0.1:0", socket.AF_INET, "127.0.0.1"),
        ("127.0.0.7:0", socket.AF_INET, "127.0.0.7"),
        ("localhost:0", socket.AF_INET, "127.0.0.1"),
        ("0.0.0.0:0", socket.AF_INET, "0.0.0.0"),
        ("[::1]:0", socket.AF_INET6, "::1"),
        ("[::]:0", socket.AF_INET6, "::"),
        (":0", socket.AF_INET6, "::"),
    ],
)
def test_tcp(address: str, family: socket.AddressFamily, host: str) -> None:
    with bind(address) as bound:
        assert bound.family == family
        assert bound.getsockname()[0] == host
        assert bound.getsockname()[1] > 0
        assert not bound.getblocking()
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1


@pytest.mark.parametrize(("address", "v6only"), [(":0", 0), ("[::1]:0", 1), ("[::]:0", 1)])
def test_only_all_interfaces_take_both_families(address: str, v6only: int) -> None:
    with bind(address) as bound:
        assert bound.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == v6only


def test_a_taken_port_is_an_error() -> None:
    with bind("127.0.0.1:0") as taken:
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StartError, match=f"^cannot listen on {address}: Address already in use$"):
            bind(address)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("192.0.2.1:0", "Cannot assign requested address"),
        ("name.invalid:25", "Name or service not known"),
        ("unix:/no/such/directory/smtp.sock", "No such file or directory"),
    ],
)
def test_what_cannot_be_bound_is_an_error(address: str, reason: str) -> None:
    with pytest.raises(StartError) as raised:
        bind(address)
    assert str(raised.value) in (
        f"cannot listen on {address}: {reason}",
        f"cannot listen on {address}: Temporary failure in name resolution",  # without a network
    )


def test_unix(tmp_path: Path) -> None:
    path = tmp_path / "smtp.sock"
    with bind(f"unix:{path}") as bound:
        assert (bound.family, bound.getsockname()) == (socket.AF_UNIX, str(path))


def test_a_socket_in_use_is_not_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "smtp.sock"
    with bind(f"unix:{path}") as bound:
        bound.listen()
        with pytest.raises(StartError, match="Address already in use"):
            bind(f"unix:{path}")
        assert path.is_socket()


def test_a_socket_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "smtp.sock"
    bind(f"unix:{path}").close()
    with bind(f"unix:{path}") as bound:
        assert bound.getsockname() == str(path)


def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "smtp.sock"
    path.write_text("precious")
    with pytest.raises(StartError, match="Address already in use"):
        bind(f"unix:{path}")
    assert path.read_text() == "precious"
