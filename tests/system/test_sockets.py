"""What an address of the configuration is bound to."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from fastsmtp.errors import StartError
from fastsmtp.system.sockets import bind, format_address, listen_several


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


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", ":0"])
def test_several_share_a_port_and_divide_its_clients(address: str) -> None:
    with contextlib.ExitStack() as stack:
        several = [stack.enter_context(bound) for bound in listen_several(address, 3)]
        assert len(several) == 3
        [name] = {bound.getsockname() for bound in several}
        host = "127.0.0.1" if address == ":0" else name[0]
        for _ in range(60):
            stack.enter_context(socket.create_connection((host, name[1])))
        taken = []
        for bound in several:
            with contextlib.suppress(BlockingIOError):
                while True:
                    taken.append(bound)
                    stack.enter_context(bound.accept()[0])
            taken.pop()
    assert len(taken) == 60
    assert set(taken) == set(several)


@pytest.mark.parametrize("theirs", [1, 2])
def test_what_others_share_is_not_shared_with_us(theirs: int) -> None:
    with contextlib.ExitStack() as stack:
        for bound in listen_several("127.0.0.1:0", theirs):
            stack.enter_context(bound)
        address = format_address(bound)
        for bind_again in (bind, lambda text: listen_several(text, 2)):
            with pytest.raises(StartError) as caught:
                bind_again(address)
            assert str(caught.value) == f"cannot listen on {address}: Address already in use"


def test_all_have_one_socket_at_a_unix_path(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/smtp.sock"
    [bound] = listen_several(address, 3)
    with bound:
        assert format_address(bound) == address


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_an_address_is_spelled_as_it_is_configured(address: str) -> None:
    with bind(f"{address}:0") as bound:
        assert format_address(bound) == f"{address}:{bound.getsockname()[1]}"
