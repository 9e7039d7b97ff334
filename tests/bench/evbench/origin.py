# SPDX-License-Identifier: MIT
"""The servers behind the balancer: one process, many ports, every request answered 200.

`backend-sim --bench` where it is built, else nginx: the origin takes no part in any figure but
requests per second, where a slow one hides the differences.
"""

from __future__ import annotations

from pathlib import Path

from evbench.balancers import Nginx

SMALL_BODY = 4096  # up to here nginx answers from its configuration, above from a file


class Origin:
    """How to start the servers."""

    def __init__(self, backend_sim: Path, nginx: Path | None) -> None:
        self.backend_sim = backend_sim if backend_sim.exists() else None
        self.nginx = nginx

    @property
    def name(self) -> str | None:
        if self.backend_sim:
            return "backend-sim"
        return "nginx" if self.nginx else None

    def command(self, ports: list[int], body_bytes: int, folder: Path) -> list[str]:
        """`ports` are in a row."""
        if self.backend_sim:
            listen = f"{ports[0]}-{ports[-1]}"
            return [str(self.backend_sim), "--bench", "--size", str(body_bytes), "--listen", listen]
        config = folder / "nginx.conf"
        config.write_text(Nginx.main(folder) + self._http(ports, body_bytes, folder))
        return [str(self.nginx), "-q", "-p", str(folder), "-c", str(config)]

    @staticmethod
    def _http(ports: list[int], body_bytes: int, folder: Path) -> str:
        if body_bytes <= SMALL_BODY:
            answer = f'return 200 "{"x" * body_bytes}";'
        else:
            (folder / "body").write_bytes(b"x" * body_bytes)
            answer = f"root {folder}; try_files /body =404;"
        return (
            f"http {{\n{Nginx.http_defaults(folder)}  sendfile on;\n  tcp_nopush on;\n"
            f"  keepalive_timeout 1h;\n  open_file_cache max=10;\n"
            f"  server {{\n    listen 127.0.0.1:{ports[0]}-{ports[-1]};\n"
            f"    location / {{ {answer} }}\n  }}\n}}\n"
        )
