"""A PostgreSQL cluster of a test's own: in a temporary folder, on a unix socket alone, gone with whoever asked for it.

The server refuses to run as root; then it runs as the user that Debian's package makes. As a program it prints the address of
its cluster and obeys one word a line (`kill`: kill -9 of all its processes, `start`, `set NAME VALUE`, `pool`: a PgBouncer
before it, on the port POOL_PORT of the same folder), answers each with `ok`, and ends with its input: that is how the C++
tests use it.
"""
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
USER = "egret"
POOL_PORT = 6432
# A connection is a client's for one transaction and no longer: nothing of a session may be relied on.
POOL = """[databases]
* = host={dir} port=5432 user={user}
[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {dir}
auth_type = any
pool_mode = transaction
default_pool_size = 4
server_reset_query =
max_client_conn = 200
logfile = {dir}/pool.log
pidfile = {dir}/pool.pid
"""


class Postgres:
    def __init__(self, base=None):
        """In a folder of its own below `base`, which its user can go through."""
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="egret-pg-", dir=base))
        self.as_user = []
        if os.geteuid() == 0:
            server = pwd.getpwnam("postgres")
            os.chown(self.dir, server.pw_uid, server.pw_gid)
            self.as_user = ["--reuid", str(server.pw_uid), "--regid", str(server.pw_gid), "--clear-groups"]
        os.chmod(self.dir, 0o755)
        self.data, self.log = self.dir / "data", self.dir / "log"
        self.server = self.pooler = None
        self.settings = {}
        self.run(BIN / "initdb", "-D", self.data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync")
        self.start()

    def url(self, database="postgres", user=USER):
        return f"postgresql:///{database}?host={self.dir}&user={user}"

    def command(self, *words):
        return ["setpriv", *self.as_user, "--pdeathsig", "KILL", *map(str, words)]

    def run(self, *words):
        done = subprocess.run(self.command(*words), cwd="/", capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{words[0]}: {done.stderr}")
        return done.stdout

    def sql(self, text, database="postgres"):
        return self.run(BIN / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.url(database), "-c", text).strip()

    def start(self):
        extra = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            with open(self.log, "ab") as log:
                self.server = subprocess.Popen(
                    self.command(BIN / "postgres", "-D", self.data, "-c", "listen_addresses=", "-c", f"unix_socket_directories={self.dir}",
                                 "-c", "max_connections=100", "-c", "shared_buffers=128MB", "-c", "max_wal_size=2GB", "-c", "dynamic_shared_memory_type=mmap", *extra),
                    cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            # It ends at once while a killed one's memory is still held.
            while self.server.poll() is None and time.monotonic() < deadline:
                if subprocess.run(self.command(BIN / "pg_isready", "-q", "-d", self.url()), cwd="/").returncode == 0:
                    return
                time.sleep(0.05)
            time.sleep(0.2)
        raise RuntimeError("the server does not start:\n" + self.log.read_text(errors="replace")[-2000:])

    def kill(self):
        """As when the machine's memory is needed: no process of it gets to do anything more."""
        pid = self.server.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in [pid, *map(int, children)]:
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.server.wait()

    def pool(self):
        config = self.dir / "pool.ini"
        config.write_text(POOL.format(dir=self.dir, user=USER, port=POOL_PORT))
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        with open(self.log, "ab") as log:
            self.pooler = subprocess.Popen(self.command(program, "-q", config), cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not (self.dir / f".s.PGSQL.{POOL_PORT}").exists():
            if self.pooler.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("PgBouncer does not start:\n" + self.log.read_text(errors="replace")[-2000:])
            time.sleep(0.02)

    def set(self, name, value=""):
        """For the server that is started next."""
        self.settings[name] = value

    def put_back(self, copy):
        """The cluster's files give way to a copy of them. The server must not run."""
        shutil.rmtree(self.data)
        self.run("cp", "-a", copy, self.data)

    def stop(self):
        if self.pooler is not None:
            self.pooler.kill()
            self.pooler.wait()
        if self.server is not None and self.server.poll() is None:
            self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)


def in_memory():
    """A folder that costs no sync, where there is one with room: a process is killed here, never a machine, and a server that was
    killed syncs all files of all databases before it answers."""
    memory = pathlib.Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > 4 << 30 else None


def main():
    cluster = Postgres(in_memory())
    try:
        print(cluster.dir, flush=True)
        for line in sys.stdin:
            word, *values = line.split()
            {"kill": cluster.kill, "start": cluster.start, "set": cluster.set, "pool": cluster.pool}[word](*values)
            print("ok", flush=True)
    finally:
        cluster.stop()


if __name__ == "__main__":
    # Ctrl-C reaches the whole group: its owner's end is what ends this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    main()
