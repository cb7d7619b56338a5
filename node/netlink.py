"""The addresses of this machine with their leases, from the kernel by rtnetlink.

`psutil.net_if_addrs` names addresses but not whether one has an end. Source: rtnetlink(7),
linux/if_addr.h.
"""

import ipaddress
import socket
import struct

from node.board_model import Address

_RTM_GETADDR, _NLMSG_ERROR, _NLMSG_DONE = 22, 2, 3
_NLM_F_REQUEST_DUMP = 0x301
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_IFA_F_PERMANENT = 0x80
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_MESSAGE = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, interface
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_BUFFER_BYTES = 65_536
_TIMEOUT_S = 1.0


def read_addresses() -> tuple[Address, ...]:
    """Return every address of every interface.

    Raises:
        OSError: the kernel does not answer, or this process may not ask.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
        link.settimeout(_TIMEOUT_S)
        body = _MESSAGE.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        head = _HEADER.pack(_HEADER.size + len(body), _RTM_GETADDR, _NLM_F_REQUEST_DUMP, 1, 0)
        link.sendto(head + body, (0, 0))
        found: list[Address] = []
        while True:
            is_over, addresses = parse_answer(link.recv(_BUFFER_BYTES))
            found += addresses
            if is_over:
                return tuple(found)


def parse_answer(data: bytes) -> tuple[bool, list[Address]]:
    """Return whether this was the end, and the addresses in one datagram.

    Raises:
        OSError: it says that the question failed, or it is cut.
    """
    found: list[Address] = []
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if kind == _NLMSG_DONE:
            return True, found
        if kind == _NLMSG_ERROR or length < _HEADER.size:
            raise OSError("the kernel refused to name the addresses")
        address = _address(data[at + _HEADER.size : at + length])
        if address is not None:
            found.append(address)
        at += _aligned(length)
    return False, found


def _address(message: bytes) -> Address | None:
    family, _, flags, _, _ = _MESSAGE.unpack_from(message)
    attributes: dict[int, bytes] = {}
    at = _MESSAGE.size
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if length < _ATTRIBUTE.size:
            break
        attributes[kind] = message[at + _ATTRIBUTE.size : at + length]
        at += _aligned(length)
    raw = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
    if raw is None or family not in {socket.AF_INET, socket.AF_INET6}:
        return None
    if _IFA_FLAGS in attributes:
        (flags,) = struct.unpack("=I", attributes[_IFA_FLAGS])
    return Address(text=str(ipaddress.ip_address(raw)), is_leased=not flags & _IFA_F_PERMANENT)


def _aligned(length: int) -> int:
    return (length + 3) & ~3
