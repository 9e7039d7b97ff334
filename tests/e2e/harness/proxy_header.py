# SPDX-License-Identifier: MIT
"""PROXY headers, good and bad."""
import socket
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\n"
V1_6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n"


def v2(command=1, family=0x11, block=None, tlvs=b"", length=None):
    if block is None:
        block = {0x11: socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.1") +
                 struct.pack("!HH", 4711, 80),
                 0x21: socket.inet_pton(socket.AF_INET6, "2001:db8::7") +
                 socket.inet_pton(socket.AF_INET6, "2001:db8::1") + struct.pack("!HH", 4711, 80),
                 0x31: b"/src".ljust(108, b"\0") + b"/dst".ljust(108, b"\0")}.get(family, b"")
    block += tlvs
    n = len(block) if length is None else length
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, family, n) + block


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def tlvs(data):
    """The entries of `data`, which they must fill exactly."""
    found = {}
    while data:
        kind, size = struct.unpack_from("!BH", data)
        assert len(data) >= 3 + size and kind not in found, data
        found[kind], data = data[3:3 + size], data[3 + size:]
    return found


def read_v2(stream):
    """A version-2 header for IPv4, by a reader of our own -> (source port, its entries)."""
    head = stream.read(16)
    assert head[:14] == SIGNATURE + b"\x21\x11", head
    block = stream.read(struct.unpack("!H", head[14:])[0])
    return struct.unpack_from("!H", block, 8)[0], tlvs(block[12:])
