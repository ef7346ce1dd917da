"""Settings from the environment and a `.env` file, all named `MARQUEE_…`. Read here and nowhere else.

A wrong value stops the start, and one message names every wrong setting at once.
"""

import contextlib
import os
import pwd
import re
import secrets
from collections.abc import Iterator
from email.utils import parseaddr
from enum import StrEnum
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX: Final = "MARQUEE_"
ENV_FILE: Final = ".env"
SECRET_BYTES_MIN: Final = 32
TRACES_PATH: Final = "/v1/traces"
ROOT_FOLDER: Final = Path("/var/lib/marquee")
ELSEWHERE: Final = {"MARQUEE_BROWSER"}
"""Names that the tests read."""

LATER: Final = ("NATS_URL",)
"""Settings of parts that this version does not have: naming one is refused rather than ignored."""

_WORDS: Final = {
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be on or off",
}
"""Instead of pydantic's own, by its type of error."""

Network = IPv4Network | IPv6Network


class SettingsRefused(Exception):
    """Some settings are wrong; the message names each of them, for the person who started us."""


class Demo(StrEnum):
    """Whether `serve` loads the demo week: `auto` does so into an empty embedded database."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


def _in_any_case(word: object) -> object:
    return word.strip().lower() if isinstance(word, str) else word


def _port_of(url: str) -> int | None:
    """ValueError where it is none. Several servers of a database have one each; those are left to its driver."""
    parts = urlsplit(url)
    return None if "," in parts.netloc else parts.port


def _url_of(*schemes: str, example: str) -> AfterValidator:
    def check(url: str | None) -> str | None:
        if url is not None and (
            urlsplit(url).scheme not in schemes or not url.split("://", 1)[1] or _port_of(url) == 0
        ):
            raise ValueError(f"must look like {example}")
        return url.rstrip("/") if url is not None else None

    return AfterValidator(check)


_is_host: Final = re.compile(r"[A-Za-z0-9.\-]+(:[0-9]{1,5})?").fullmatch
_is_header: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~\-]+:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?").fullmatch
_is_collector: Final = re.compile(
    r"https?://([A-Za-z0-9.\-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~%/\-]*)?"
).fullmatch
_is_mailbox: Final = re.compile(r"[^@\s<>]+@[A-Za-z0-9.\-]+").fullmatch
_is_public: Final = re.compile(r"https?://[A-Za-z0-9.\-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~%/\-]*)?").fullmatch


def _mailbox(sender: str | None) -> str | None:
    if sender is not None and (not _is_mailbox(parseaddr(sender)[1]) or not sender.isprintable()):
        raise ValueError("must look like Marquee <tickets@house.example>")
    return sender


def _media(url: str | None) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    named = parts.username and parts.password and parts.hostname
    if parts.scheme == "cloudinary" and named:
        return url
    if parts.scheme not in ("s3", "s3+http") or not named or not parts.path.strip("/") or "/" in parts.path.strip("/"):
        raise ValueError(
            "must look like s3://KEY:SECRET@HOST/BUCKET?region=eu-central-1 or cloudinary://KEY:SECRET@CLOUD"
        )
    public = parse_qs(parts.query).get("public", ["https://it.is.the.bucket"])[-1]
    if not _is_host(parts.netloc.rpartition("@")[2]) or not _is_public(public):
        raise ValueError("names a host, or a public address, that is none")
    if find_spec("obstore") is None:
        raise ValueError("needs the extra named media: install marquee[media]")
    return url


def _collector(url: str | None) -> str | None:
    """Where traces are sent; the path that OTLP has for them is added where it is not named."""
    if url is None:
        return None
    if not _is_collector(url):
        raise ValueError("must look like http://collector:4318")
    if not _is_installed("opentelemetry.exporter.otlp.proto.http"):
        raise ValueError("needs the extra named traces: install marquee[traces]")
    return url if url.endswith(TRACES_PATH) else f"{url.rstrip('/')}{TRACES_PATH}"


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even what it lies in
        return False


def _headers(value: object) -> object:
    if not isinstance(value, str):
        return value
    headers = tuple((name.strip(), unquote(text.strip())) for name, _, text in _pairs(value))
    if not all(_is_header(f"{name}:{text}") for name, text in headers):
        raise ValueError("must look like name=value,name=value")
    return headers


def _pairs(value: str) -> Iterator[tuple[str, str, str]]:
    return (part.partition("=") for part in value.split(",") if part.strip())


def _networks(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())


def _secrets(value: object) -> object:
    return tuple(value.split()) if isinstance(value, str) else value


def _origins(value: object) -> object:
    if not isinstance(value, str):
        return value
    origins = tuple(part.strip() for part in value.split(",") if part.strip())
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}":
            raise ValueError("must name origins like https://box.example, separated by commas")
    return origins


def _long_enough(secret: str) -> str:
    if secret and len(secret.encode()) < SECRET_BYTES_MIN:
        raise ValueError(f"must be at least {SECRET_BYTES_MIN} bytes long, or unset to have one made")
    return secret


def _single(workers: int) -> int:
    if workers != 1:
        raise ValueError("must be 1: this version runs as one process")
    return workers


def _usable_provider(name: str) -> str:
    if name != "sandbox" and find_spec(name) is None:
        raise ValueError(f"needs the extra named {name}: install marquee[{name}]")
    return name


def _account_at(provider: str, *beginnings: str) -> AfterValidator:
    """A key for an account at a payment provider: needed where payments go there, and not mistaken for another one."""

    def check(key: str, info: ValidationInfo) -> str:
        if not key and info.data.get("payment_provider") == provider:
            raise ValueError(f"must be set: MARQUEE_PAYMENT_PROVIDER is {provider}")
        if key and not key.startswith(beginnings):
            raise ValueError(f"must begin with {' or '.join(beginnings)}")
        return key

    return AfterValidator(check)


def _private(url: str) -> str:
    """Keys travel there: encrypted, or not over a network at all."""
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ValueError("must begin with https://")
    return url


def default_folder() -> Path:
    """Root's home is closed to the user that PostgreSQL runs as, so root's data lives elsewhere."""
    if os.geteuid() == 0:
        return ROOT_FOLDER
    home = os.environ.get("HOME") or pwd.getpwuid(os.geteuid()).pw_dir
    return Path(os.environ.get("XDG_DATA_HOME") or Path(home) / ".local/share") / "marquee"


ProviderUrl = Annotated[str, _url_of("http", "https", example="https://api.provider.example"), AfterValidator(_private)]


def _secret() -> Any:
    """Checked when it is not given too, and never shown."""
    return Field(default="", repr=False, validate_default=True)


class Config(BaseSettings):
    """Frozen settings: `MARQUEE_PORT` is `port`, and so on. Made by `load`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=ENV_FILE, env_ignore_empty=True, extra="ignore", frozen=True
    )

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8_080
    database_url: Annotated[
        str | None, _url_of("postgres", "postgresql", example="postgresql://user:password@host/database")
    ] = None
    data_dir: Path = Field(default_factory=default_folder)
    jwt_secret: Annotated[str, AfterValidator(_long_enough)] = Field(default="", repr=False)
    jwt_old_secrets: Annotated[
        tuple[Annotated[str, AfterValidator(_long_enough)], ...], NoDecode, BeforeValidator(_secrets)
    ] = Field(default=(), repr=False)
    public_url: Annotated[str | None, _url_of("http", "https", example="https://tickets.example")] = None
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)] = ()
    workers: Annotated[int, AfterValidator(_single)] = 1
    smtp_url: Annotated[str | None, _url_of("smtp", "smtps", example="smtp://user:password@host:25")] = None
    mail_from: Annotated[str | None, AfterValidator(_mailbox)] = None
    twilio_account_sid: Annotated[str, Field(pattern="^[A-Za-z0-9]*$")] = ""
    twilio_auth_token: str = Field(default="", repr=False)
    twilio_from: str = Field(default="", validate_default=True)
    twilio_base_url: Annotated[str, _url_of("http", "https", example="https://api.twilio.com")] = (
        "https://api.twilio.com"
    )
    media_url: Annotated[str | None, AfterValidator(_media)] = Field(default=None, repr=False)
    otlp_url: Annotated[str | None, AfterValidator(_collector)] = Field(default=None, repr=False)
    otlp_headers: Annotated[tuple[tuple[str, str], ...], NoDecode, BeforeValidator(_headers)] = Field(
        default=(), repr=False
    )
    trace_ratio: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 1.0
    payment_provider: Annotated[
        Literal["sandbox", "stripe", "razorpay"], BeforeValidator(_in_any_case), AfterValidator(_usable_provider)
    ] = "sandbox"
    stripe_secret_key: Annotated[str, _account_at("stripe", "sk_", "rk_")] = _secret()
    stripe_webhook_secret: Annotated[str, _account_at("stripe", "whsec_")] = _secret()
    stripe_publishable_key: Annotated[str, _account_at("stripe", "pk_")] = _secret()
    stripe_base_url: ProviderUrl = "https://api.stripe.com"
    razorpay_key_id: Annotated[str, _account_at("razorpay", "rzp_")] = _secret()
    razorpay_key_secret: Annotated[str, _account_at("razorpay", "")] = _secret()
    razorpay_webhook_secret: Annotated[str, _account_at("razorpay", "")] = _secret()
    razorpay_base_url: ProviderUrl = "https://api.razorpay.com"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_in_any_case)] = "info"
    log_format: Annotated[Literal["console", "json"], BeforeValidator(_in_any_case)] = "console"
    hold_ttl_s: Annotated[int, Field(ge=1, le=3_600)] = 600
    rate_limit: bool = True
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)] = ()
    webhook_allow: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)] = ()
    demo: Annotated[Demo, BeforeValidator(_in_any_case)] = Demo.AUTO

    @field_validator("twilio_from")
    @classmethod
    def _twilio_is_whole(cls, sender: str, others: ValidationInfo) -> str:
        given = (others.data.get("twilio_account_sid"), others.data.get("twilio_auth_token"), sender)
        if any(given) and not all(given):
            raise ValueError("belongs together with TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN: set all or none")
        return sender

    @property
    def site(self) -> str:
        """Where people find the site: as set, or as we know it. Never what a client says, or letters could mislead."""
        return self.public_url or f"http://{self.host}:{self.port}"


def load(**overrides: Any) -> Config:
    """Settings from arguments, the environment, `.env` and defaults, in this order. SettingsRefused names all wrong."""
    problems = list(_unknown_names())
    try:
        config = Config(**overrides)
    except ValidationError as error:
        problems += [
            f"{PREFIX}{_name(e['loc'])} {_WORDS.get(e['type']) or _sentence(e['msg'])}" for e in error.errors()
        ]
    if problems:
        raise SettingsRefused("Some settings are wrong:\n" + "\n".join(f"  {problem}" for problem in problems))
    return config if config.jwt_secret else config.model_copy(update={"jwt_secret": _own_secret(config.data_dir)})


def _unknown_names() -> Iterator[str]:
    known = {f"{PREFIX}{name.upper()}" for name in Config.model_fields} | ELSEWHERE
    given = {name for name in (*os.environ, *dotenv_values(ENV_FILE)) if name.upper().startswith(PREFIX)}
    for name in sorted(given):
        if name.upper() in known:
            continue
        if name.upper().removeprefix(PREFIX).startswith(LATER):
            yield f"{name} belongs to a part that this version does not have"
        else:
            yield f"{name} is not a setting"


def _own_secret(folder: Path) -> str:
    """The secret that this installation made for itself, made now if there is none."""
    place = folder / "jwt-secret"
    try:
        if not place.exists():
            _make_secret(place)
        secret = place.read_text().strip()
    except OSError as error:
        raise SettingsRefused(f"The data folder {folder} cannot be written: {error.strerror}.") from error
    if len(secret.encode()) < SECRET_BYTES_MIN:
        raise SettingsRefused(
            f"The secret in {place} is shorter than {SECRET_BYTES_MIN} bytes. Remove it for a new one."
        )
    return secret


def _make_secret(place: Path) -> None:
    """Written aside and linked into place: two starters agree on one secret, and nobody reads half of it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f"{place.name}.{os.getpid()}")
    partial.touch(mode=0o600)
    try:
        with partial.open("w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(partial, place)
    finally:
        partial.unlink()


def _name(location: tuple[int | str, ...]) -> str:
    return str(location[0]).upper() if location else ""


def _sentence(message: str) -> str:
    """Pydantic's words, after the name of the setting."""
    text = message.removeprefix("Value error, ").removeprefix("Input ")
    return text[:1].lower() + text[1:]
