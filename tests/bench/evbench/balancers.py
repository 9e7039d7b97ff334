# SPDX-License-Identifier: MIT
"""The balancers side by side: how each is configured for a task, and started with one worker.

The rules of fairness: one worker; keep-alive to clients and a pool of server connections; no access
log; X-Forwarded-For added; no end to a connection after n requests; buffers and timeouts as each
one's defaults have them. evlb's defaults do more (X-Forwarded-Proto and -Host, X-Request-ID,
traceparent): that stays on. evlb checks the servers of an HTTP backend every two seconds by itself,
so HAProxy is told to do it as well; nginx cannot. TLS: the same certificate, versions 1.2 and 1.3,
tickets as each one gives them; the clients alone choose cipher and group (tls_load.py).
"""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

NGINX_STREAM = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
EVER = 1_000_000_000  # requests on one connection
BACKLOG = 4096  # nginx's 511 makes thousands of clients connect at the pace of lost SYNs
RESERVED_FDS = 300  # listeners, logs, checks


@dataclass(frozen=True)
class Task:
    """What a balancer is started for."""

    port: int
    servers: list[int]  # ports on the loopback
    layer: str = "http"  # or "tcp"
    close: bool = False  # the load is one request per connection
    connections: int = 64
    single_process: bool = False  # under valgrind: no master process where one can do without
    pem: Path | None = None  # certificate and key: TLS with clients
    body_bytes: int = 128  # of the answers; only the null row makes them itself


def fd_limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def client_limit() -> int:
    """Clients that a balancer can serve when each also needs a server connection."""
    return (fd_limit() - RESERVED_FDS) // 2


def first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout + done.stderr).strip().partition("\n")[0]


class Balancer:
    """One row of every table."""

    name = ""
    package: str | None = None  # Debian's; None: built here

    def __init__(self, program: Path | None) -> None:
        self.program = program

    def lacks(self, layer: str) -> str | None:
        """Why it cannot take part, or None."""
        if self.program and self.program.exists():
            return None
        return f"{self.program} is not built" if self.program else f"{self.name} is not installed"

    def version(self) -> str:
        raise NotImplementedError

    def command(self, task: Task, folder: Path) -> list[str]:
        """Writes the configuration into `folder`; returns the command of the foreground process."""
        raise NotImplementedError


class Evlb(Balancer):
    name = "evlb"

    def version(self) -> str:
        return first_line([str(self.program), "version"])

    def command(self, task: Task, folder: Path) -> list[str]:
        servers = ", ".join(f"127.0.0.1:{port}" for port in task.servers)
        mode = "mode: tcp, " if task.layer == "tcp" else ""
        tls = f"tls: {task.pem}, " if task.pem else ""
        config = folder / "evlb.yaml"
        config.write_text(
            f"workers: 1\n"
            f"admin: {{socket: {folder}/ctl.sock}}\n"
            f"frontends:\n"
            f"  bench: {{listen: 127.0.0.1:{task.port}, {mode}{tls}backend: app}}\n"
            f"backends:\n"
            f"  app: {{servers: [{servers}]}}\n"
        )
        return [str(self.program), "run", "-c", str(config)]


class Haproxy(Balancer):
    name = "haproxy"
    package = "haproxy"

    def version(self) -> str:
        found = re.search(r"version (\S+)", first_line([str(self.program), "-v"]))
        return found.group(1) if found else ""

    def command(self, task: Task, folder: Path) -> list[str]:
        """Without the pool ratios it gives up its pool of server connections at 1/5 of its limit.

        It refuses a maxconn for which descriptors could run out.
        """
        is_http = task.layer == "http"
        servers = "".join(f"  server s{p} 127.0.0.1:{p}\n" for p in task.servers)
        http = "  option forwardfor\n  http-reuse always\n" if is_http else ""
        tls = f" ssl crt {task.pem} ssl-min-ver TLSv1.2 alpn http/1.1" if task.pem else ""
        config = folder / "haproxy.cfg"
        config.write_text(
            f"global\n  nbthread 1\n  maxconn {client_limit() - len(task.servers)}\n"
            f"  tune.pool-low-fd-ratio 100\n  tune.pool-high-fd-ratio 100\n"
            f"defaults\n  mode {task.layer}\n"
            f"  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n{http}"
            f"frontend bench\n  bind 127.0.0.1:{task.port}{tls}\n  default_backend app\n"
            f"backend app\n  balance roundrobin\n{servers}"
        )
        return [str(self.program), "-db", "-f", str(config)]


class Nginx(Balancer):
    name = "nginx"
    package = "nginx-light"
    stream_module = NGINX_STREAM

    def lacks(self, layer: str) -> str | None:
        if layer == "tcp" and self.program and not self.stream_module.exists():
            return "nginx has no stream module (libnginx-mod-stream)"
        return super().lacks(layer)

    def version(self) -> str:
        return first_line([str(self.program), "-v"]).rpartition("/")[2]

    def command(self, task: Task, folder: Path) -> list[str]:
        is_http = task.layer == "http"
        module = "" if is_http else f"load_module {self.stream_module};\n"
        body = self._http(task, folder) if is_http else self._stream(task)
        config = folder / "nginx.conf"
        config.write_text(module + self.main(folder, task.single_process) + body)
        return [str(self.program), "-q", "-p", str(folder), "-c", str(config)]

    @staticmethod
    def main(folder: Path, single_process: bool = False) -> str:
        """The part above http{}; the origin uses it too."""
        return (
            f"daemon off;\nmaster_process {'off' if single_process else 'on'};\n"
            f"user root;\nworker_processes 1;\npid {folder}/nginx.pid;\n"
            f"error_log {folder}/error.log;\n"
            f"events {{ worker_connections {fd_limit() - RESERVED_FDS}; }}\n"
        )

    @staticmethod
    def http_defaults(folder: Path) -> str:
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"  {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
        return f"{paths}  access_log off;\n  keepalive_requests {EVER};\n"

    def _http(self, task: Task, folder: Path) -> str:
        pool = max(64, task.connections, 2 * len(task.servers))
        servers = "".join(f"    server 127.0.0.1:{port};\n" for port in task.servers)
        ssl = " ssl" if task.pem else ""
        tls = "" if not task.pem else (
            f"    ssl_certificate {task.pem};\n    ssl_certificate_key {task.pem};\n"
            f"    ssl_protocols TLSv1.2 TLSv1.3;\n    ssl_session_tickets on;\n"
            f"    ssl_session_cache off;\n"
        )
        return (
            f"http {{\n{self.http_defaults(folder)}"
            f"  upstream app {{\n{servers}"
            f"    keepalive {pool};\n    keepalive_requests {EVER};\n  }}\n"
            f"  server {{\n    listen 127.0.0.1:{task.port} backlog={BACKLOG}{ssl};\n"
            f"{tls}    location / {{\n"
            f"      proxy_pass http://app;\n"
            f"      proxy_http_version 1.1;\n"
            f'      proxy_set_header Connection "";\n'
            f"      proxy_set_header Host $http_host;\n"
            f"      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n"
            f"      proxy_max_temp_file_size 0;\n"  # the disk is not what is measured
            f"    }}\n  }}\n}}\n"
        )

    def _stream(self, task: Task) -> str:
        servers = "".join(f"    server 127.0.0.1:{port};\n" for port in task.servers)
        return (
            f"stream {{\n  upstream app {{\n{servers}  }}\n"
            f"  server {{ listen 127.0.0.1:{task.port} backlog={BACKLOG}; proxy_pass app; }}\n}}\n"
        )


class NullRelay(Balancer):
    """The floor; with TLS it is null_tls, which answers by itself."""

    name = "null"

    def version(self) -> str:
        return "tests/bench/null_*.c"

    def command(self, task: Task, folder: Path) -> list[str]:
        if task.pem:
            null_tls = self.program.with_name("null_tls")
            return [str(null_tls), str(task.port), str(task.pem), str(task.body_bytes)]
        one_request = task.close and task.layer == "http"
        flags = ["--close"] if one_request else []
        return [str(self.program), *flags, str(task.port), *map(str, task.servers)]


def all_balancers(bin_dir: Path) -> dict[str, Balancer]:
    def installed(name: str) -> Path | None:
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
        return Path(found) if found else None

    made = (
        Evlb(bin_dir / "evlb"),
        Nginx(installed("nginx")),
        Haproxy(installed("haproxy")),
        NullRelay(bin_dir / "null_relay"),
    )
    return {balancer.name: balancer for balancer in made}
