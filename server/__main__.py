"""The `marquee` program: one command line for serving and for everything an operator does beside it.

Heavy modules are imported by the command that needs them, so that `--help` and a wrong setting answer at once.
"""

import argparse
import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

from server.config import Config, Demo, SettingsRefused, load

FAILED: Final = 2
"""The exit status of a start that could not be; `verify` exits 1 when it finds a difference."""

INTERRUPTED: Final = 130
BAR_WIDTH: Final = 40
_BIND_FAILURES: Final = (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES)

Command = Callable[[Config, str, argparse.Namespace], Awaitable[int]]


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if not isinstance(error, _refusals()):
            raise
        print(f"marquee: {error}", file=sys.stderr)  # noqa: T201
        return FAILED


async def _with_database(config: Config, options: argparse.Namespace) -> int:
    from server.telemetry import configure_logging

    configure_logging(config.log_level, config.log_format)
    command: Command = options.command
    async with database(config, guest=command is not _serve) as dsn:
        return await command(config, dsn, options)


@contextlib.asynccontextmanager
async def database(config: Config, *, guest: bool = False) -> AsyncIterator[str]:
    """The address of the database, with today's schema. The embedded one lives as long as the context.

    A `guest` may come while a server owns the embedded one.
    """
    from persistence.database import migrate

    if config.database_url is not None:
        with _reachable():
            await migrate(config.database_url)
        yield config.database_url
        return
    try:
        from persistence.embedded import EmbeddedPostgres
    except ModuleNotFoundError as error:
        raise SettingsRefused(
            "MARQUEE_DATABASE_URL is not set and the embedded database is not installed. "
            "Set it, or install marquee[demo]."
        ) from error

    async with EmbeddedPostgres(config.data_dir, guest=guest) as postgres:
        await migrate(postgres.dsn)
        yield postgres.dsn


@contextlib.contextmanager
def _reachable() -> Iterator[None]:
    import asyncpg

    try:
        yield
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise SettingsRefused(f"The database of MARQUEE_DATABASE_URL cannot be used: {error}") from error


@contextlib.contextmanager
def _bindable(config: Config) -> Iterator[None]:
    """An address that cannot be opened is a wrong setting, in a sentence."""
    try:
        yield
    except socket.gaierror as error:
        raise SettingsRefused(f"MARQUEE_HOST {config.host} is not an address.") from error
    except OSError as error:
        if error.errno not in _BIND_FAILURES:
            raise
        raise SettingsRefused(
            {
                errno.EADDRINUSE: f"Port {config.port} of {config.host} is in use by another program. "
                "Stop that one, or choose another port with MARQUEE_PORT.",
                errno.EADDRNOTAVAIL: f"MARQUEE_HOST {config.host} is not an address of this machine.",
                errno.EACCES: f"Port {config.port} is not open to this user. Choose one above 1023 with MARQUEE_PORT.",
            }[error.errno]
        ) from error


async def _serve(config: Config, dsn: str, _: argparse.Namespace) -> int:
    from server.app import serve
    from server.demo import is_empty, load_demo

    wanted = config.demo is Demo.ON or (
        config.demo is Demo.AUTO and config.database_url is None and await is_empty(dsn)
    )
    if wanted:
        await load_demo(dsn, config)
    with _bindable(config):
        await serve(config, dsn, lambda address: _say(f"Marquee is open at {address}"))
    return 0


async def _demo(config: Config, dsn: str, _: argparse.Namespace) -> int:
    from server.demo import load_demo

    await load_demo(dsn, config)
    return 0


async def _migrate(_config: Config, _dsn: str, _: argparse.Namespace) -> int:
    from persistence.database import known_migrations

    _say(f"The database has schema {known_migrations()[-1].number}.")
    return 0


async def _admin(_config: Config, dsn: str, options: argparse.Namespace) -> int:
    from server.staff import create_admin

    _say(await create_admin(dsn, options.email))
    return 0


async def _verify(_config: Config, dsn: str, _: argparse.Namespace) -> int:
    from persistence.audit import verify_command

    return await verify_command(dsn)


async def _rebuild(_config: Config, dsn: str, _: argparse.Namespace) -> int:
    from persistence.audit import rebuild_command

    return await rebuild_command(dsn)


async def _replay(_config: Config, dsn: str, options: argparse.Namespace) -> int:
    from persistence.audit import replay_command

    return await replay_command(dsn, options.showtime, options.at)


async def _import_movies(_config: Config, dsn: str, options: argparse.Namespace) -> int:
    from server.importing import import_movies

    listed, new = await import_movies(dsn, options.file, _bar if sys.stderr.isatty() else _line)
    _say(f"{new} of {listed} films are new.")
    return 0


async def _import_layout(_config: Config, dsn: str, options: argparse.Namespace) -> int:
    from server.importing import import_layout

    layout_id, capacity = await import_layout(dsn, options.file)
    _say(f"Layout {layout_id} has {capacity} seats.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="marquee", description="A real-time seat server for cinemas.")
    parser.set_defaults(command=_serve)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def add(name: str, command: Command, about: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about)
        sub.set_defaults(command=command)
        return sub

    add("serve", _serve, "Serve until told to stop. This is what happens without a command, too.")
    add("demo", _demo, "Load the demo: films, theatres, a week of showtimes, and users. May be repeated.")
    add("migrate", _migrate, "Bring the database's schema up to date.")
    admin = add("admin", _admin, "Manage administrators.")
    admin.add_argument("action", choices=["create"])
    admin.add_argument("email", help="the address to log in with")
    add("verify", _verify, "Replay every log and compare what was worked out from it. Exits 1 on a difference.")
    add("rebuild", _rebuild, "Write everything that is worked out from the logs anew.")
    replay = add("replay", _replay, "Show a showtime's seat map as it was.")
    replay.add_argument("showtime", help="the showtime's id")
    replay.add_argument("--at", help="a version (a number) or a time (RFC 3339); the newest state without it")
    movies = add("import-movies", _import_movies, "Import films from a JSON file. May be repeated.")
    movies.add_argument("file", type=Path)
    layout = add("import-layout", _import_layout, "Import a layout from a JSON file, ours or a pretix seating plan.")
    layout.add_argument("file", type=Path)
    return parser


def _run(options: argparse.Namespace) -> int:
    config = load()
    try:
        import uvloop
    except ImportError:
        return asyncio.run(_with_database(config, options))
    return uvloop.run(_with_database(config, options))


def _bar(done: int, of: int) -> None:
    """On a terminal: one line that grows."""
    filled = BAR_WIDTH * done // of
    end = "\n" if done == of else ""
    print(f"\r[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {done} of {of}", end=end, file=sys.stderr, flush=True)  # noqa: T201


def _line(done: int, of: int) -> None:
    print(f"{done} of {of} films read.", file=sys.stderr, flush=True)  # noqa: T201


def _say(sentence: str) -> None:
    print(sentence, flush=True)  # noqa: T201


def _refusals() -> tuple[type[Exception], ...]:
    from persistence.binaries import EmbeddedFailed
    from persistence.database import SchemaRefused
    from server.importing import ImportRefused
    from server.staff import StaffRefused

    return (SettingsRefused, SchemaRefused, EmbeddedFailed, ImportRefused, StaffRefused)


if __name__ == "__main__":
    sys.exit(main())
