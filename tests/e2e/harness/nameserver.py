# SPDX-License-Identifier: MIT
"""A name server that says what a test wants, changes its mind, fails or keeps silent.

    ns = NameServer()                              on a free UDP port of 127.0.0.1: ns.address
    ns.set("app.test", "127.0.0.1", ttl=1)         A records; none: the name has no address
    ns.srv("_http._tcp.test", [(10, 5, 8080, "a.test")])   priority, weight, port, target
    ns.break_("app.test", "nxdomain" | "servfail" | "silent")
    ns.queries                                     how many were asked
"""
import ipaddress
import socket
import struct
import threading

A, AAAA, SRV = 1, 28, 33
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


def _encode_name(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def _decode_name(packet, at):
    parts = []
    while packet[at]:
        parts.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    return ".".join(parts).lower(), at + 1


class NameServer:
    def __init__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._socket.getsockname()[1]
        self._records, self._broken = {}, {}
        self.queries = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def set(self, name, *addresses, ttl=1):
        self._broken.pop(name, None)
        for kind in (A, AAAA):
            version = 4 if kind == A else 6
            self._records[name, kind] = [
                (ttl, ipaddress.ip_address(a).packed) for a in addresses
                if ipaddress.ip_address(a).version == version]

    def srv(self, name, records, ttl=1):
        self._broken.pop(name, None)
        self._records[name, SRV] = [
            (ttl, struct.pack("!HHH", *r[:3]) + _encode_name(r[3])) for r in records]

    def break_(self, name, how):
        self._broken[name] = how

    def close(self):
        self._socket.close()

    def _serve(self):
        while True:
            try:
                packet, peer = self._socket.recvfrom(4096)
                answer = self._answer(packet)
                if answer:
                    self._socket.sendto(answer, peer)
            except OSError:
                return

    def _answer(self, packet):
        name, end = _decode_name(packet, 12)
        kind = struct.unpack("!H", packet[end:end + 2])[0]
        self.queries += 1
        how = self._broken.get(name)
        if how == "silent":
            return None
        known = any(key[0] == name for key in self._records)
        code = SERVFAIL if how == "servfail" else NOERROR
        if how == "nxdomain" or (how is None and not known):
            code = NXDOMAIN
        records = self._records.get((name, kind), []) if code == NOERROR else []
        header = packet[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(records), 0, 0)
        body = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data
                        for ttl, data in records)
        return header + packet[12:end + 4] + body
