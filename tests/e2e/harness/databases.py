# SPDX-License-Identifier: MIT
"""Real databases from Debian's packages, each an instance of its own: own directory, socket and
port, never the system's service. They refuse to run as root, so they run as the package's user."""
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

from . import ports, tools


class Database:
    user = None  # whom the package made for it; root starts it as this user
    needs = ()   # programs

    def __init__(self, name):
        self.name = name
        self.port = ports.take()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"evlb-{name}-"))
        self.data = self.directory / "data"
        self.process = None
        self.own(self.directory)

    def __str__(self):
        return f"127.0.0.1:{self.port}"

    @classmethod
    def program(cls, name):
        """Its path, also where Debian keeps servers out of PATH; None: not installed."""
        places = [os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin",
                  *map(str, pathlib.Path("/usr/lib/postgresql").glob("*/bin"))]
        return shutil.which(name, path=":".join(places))

    @classmethod
    def missing(cls):
        return [p for p in cls.needs if cls.program(p) is None]

    def own(self, path):
        if os.geteuid() == 0:
            entry = pwd.getpwnam(self.user)
            for p in (path, *path.rglob("*")):
                os.chown(p, entry.pw_uid, entry.pw_gid, follow_symlinks=False)

    def surroundings(self):
        """Of its programs. A starting MariaDB deletes temporary tables of others in TMPDIR."""
        as_user = {"user": self.user, "group": self.user, "extra_groups": []}
        return {"cwd": self.directory, "env": {**os.environ, "TMPDIR": str(self.directory)},
                **(as_user if os.geteuid() == 0 else {})}

    def run(self, program, *arguments):
        r = subprocess.run([self.program(program), *map(str, arguments)], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           **self.surroundings())
        assert r.returncode == 0, r.stdout

    def launch(self, program, *arguments):
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.program(program), *map(str, arguments)], stdout=log, stderr=log,
                start_new_session=True, **self.surroundings())
        tools.wait_for(f"{self.name} answers", self.answers, timeout=60, pause=0.1)

    def answers(self):
        assert self.process.poll() is None, self.log()
        return self.ready()

    def log(self):
        return (self.directory / "log").read_text(errors="replace")

    def kill(self):
        self.process.kill()
        self.process.wait(tools.STOP_SECONDS)

    def remove(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


class MariaDb(Database):
    user, needs = "mysql", ("mariadbd", "mariadb-install-db", "mariadb")

    def __init__(self, server_id):
        super().__init__(f"mariadb{server_id}")
        self.server_id = server_id
        self.socket = self.directory / "socket"

    def install(self, like=None):
        """`like`: another instance that was installed and never started: its data is copied,
        which is faster."""
        if like is not None:
            shutil.copytree(like.data, self.data)
            self.own(self.data)
            return
        self.run("mariadb-install-db", "--no-defaults", f"--datadir={self.data}",
                 "--auth-root-authentication-method=normal", "--skip-test-db")

    def start(self, *options):
        self.launch("mariadbd", "--no-defaults", f"--datadir={self.data}",
                    f"--socket={self.socket}", f"--port={self.port}", "--bind-address=127.0.0.1",
                    f"--pid-file={self.directory}/pid", f"--server-id={self.server_id}",
                    "--log-bin=binlog", "--skip-name-resolve", "--innodb-buffer-pool-size=16M",
                    "--innodb-log-file-size=4M", "--innodb-flush-log-at-trx-commit=0",
                    "--performance-schema=OFF", "--plugin-load-add=auth_ed25519",
                    "--log-warnings=4", *options)

    def ready(self):
        return self.socket.exists() and self.client("SELECT 1").returncode == 0

    def client(self, statements):
        return subprocess.run(
            [self.program("mariadb"), "--no-defaults", f"--socket={self.socket}", "--user=root",
             "--batch", "--skip-column-names"], input=statements, text=True, capture_output=True,
            timeout=30)

    def sql(self, statements):
        """As root, past evlb."""
        r = self.client(statements)
        assert r.returncode == 0, r.stderr
        return r.stdout.strip()

    def status(self, name):
        return int(self.sql(f"SHOW GLOBAL STATUS LIKE '{name}'").split()[-1])

    def follow(self, primary):
        """Makes this a replica of `primary` from that one's beginning."""
        self.sql(f"""CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={primary.port},
                     MASTER_USER='replica', MASTER_PASSWORD='replica', MASTER_CONNECT_RETRY=1,
                     MASTER_USE_GTID=slave_pos;
                     START SLAVE""")


class Postgres(Database):
    user, needs = "postgres", ("initdb", "postgres", "psql", "pg_basebackup")

    def initialise(self):
        self.run("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--no-sync")

    def start(self):
        self.launch("postgres", "-D", self.data, "-p", self.port, "-k", self.directory,
                    "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
                    "-c", "shared_buffers=16MB")

    def ready(self):
        return subprocess.run(self.psql("SELECT 1"), capture_output=True).returncode == 0

    def psql(self, statement):
        return [self.program("psql"), "-h", str(self.directory), "-p", str(self.port), "-U",
                "postgres", "-Atc", statement]

    def sql(self, statement):
        r = subprocess.run(self.psql(statement), capture_output=True, text=True, timeout=30)
        assert r.returncode == 0, r.stderr
        return r.stdout.strip()


class Redis(Database):
    user, needs = "redis", ("redis-server", "redis-cli")

    def start(self, *options):
        self.launch("redis-server", "--port", self.port, "--bind", "127.0.0.1", "--save", "",
                    "--dir", self.directory, *options)

    def ready(self):
        return "PONG" in self.command("PING")

    def command(self, *words):
        r = subprocess.run([self.program("redis-cli"), "-p", str(self.port), *words],
                           capture_output=True, text=True, timeout=10)
        return r.stdout + r.stderr
