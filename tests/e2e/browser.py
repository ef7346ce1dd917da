"""The browser of the end-to-end tests: one that is here, else Debian's, else Playwright's own.

`python -m tests.e2e.browser` makes sure there is one before the tests run; `find` and `FLAGS` are for the tests.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "microsoft-edge")
FLAGS: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-quic",
)  # fmt: skip
APT: Final = {"DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


def find() -> str | None:
    """The browser to drive: MARQUEE_BROWSER, else the first known one of this machine, else Playwright's own."""
    if named := os.environ.get("MARQUEE_BROWSER"):
        return named if os.access(named, os.X_OK) else None
    for name in NAMES:
        if found := shutil.which(name):
            return found
    return _playwrights_own()


def provide() -> int:
    """Find or install what the end-to-end tests need; returns an exit status."""
    if os.environ.get("MARQUEE_BROWSER") and find() is None:
        return _say("MARQUEE_BROWSER names no program that can be started.", 1)
    if (find() is None or not _driver_starts()) and os.geteuid() == 0 and shutil.which("apt-get"):
        _install(*(["chromium"] if find() is None else []), *([] if _driver_starts() else ["libatomic1"]))
    if not _driver_starts():
        return _say("Playwright's driver does not start. Install the system library libatomic.so.1 (libatomic1).")
    if find() is None:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    if find() is None:
        return _say(
            "No browser for the end-to-end tests. Install Chromium (apt-get install chromium), or name one with "
            "MARQUEE_BROWSER."
        )
    return 0


def _install(*packages: str) -> None:
    environment = {**os.environ, **APT}
    subprocess.run(["apt-get", "update", "-q"], env=environment, check=False, stdout=subprocess.DEVNULL)
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    subprocess.run(install, env=environment, check=False, stdout=subprocess.DEVNULL)


def _driver_starts() -> bool:
    """Playwright's driver is a program that needs a library which a minimal Debian does not have."""
    if not sys.platform.startswith("linux"):
        return True
    try:
        ctypes.CDLL("libatomic.so.1")
    except OSError:
        return False
    return True


def _playwrights_own() -> str | None:
    caches = [Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache/ms-playwright")]
    builds = [str(path) for cache in caches for path in cache.glob("chromium-*/chrome-linux*/chrome")]
    return max(builds, default=None)


def _say(sentence: str, status: int | None = None) -> int:
    """Without a browser the end-to-end tests cannot run: where CI is set that is a failure, elsewhere it is said."""
    print(sentence, file=sys.stderr)
    return status if status is not None else int(bool(os.environ.get("CI")))


if __name__ == "__main__":
    sys.exit(provide())
