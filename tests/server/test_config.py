"""Settings: what is read, what is made, and how all that is wrong is said at once."""

import os
import stat
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from server import config
from server.config import Demo, SettingsRefused, load


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment without settings, in a folder without a `.env`."""
    for name in os.environ:
        if name.startswith("MARQUEE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MARQUEE_DATA_DIR", str(tmp_path / "data"))
    return monkeypatch


def test_nothing_need_be_set() -> None:
    settings = load()
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8_080, 1)
    assert settings.database_url is None
    assert settings.payment_provider == "sandbox"
    assert settings.demo is Demo.AUTO
    assert settings.rate_limit is True


def test_settings_come_from_the_environment(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("MARQUEE_PORT", "9000")
    bare.setenv("MARQUEE_RATE_LIMIT", "off")
    bare.setenv("MARQUEE_DEMO", "off")
    bare.setenv("MARQUEE_PUBLIC_URL", "https://tickets.example/")
    bare.setenv("MARQUEE_TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1")
    settings = load()
    assert settings.port == 9_000
    assert settings.rate_limit is False
    assert settings.demo is Demo.OFF
    assert settings.public_url == "https://tickets.example"
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("127.0.0.1"))


def test_words_may_be_written_in_any_case(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("MARQUEE_LOG_LEVEL", "WARNING")
    bare.setenv("MARQUEE_LOG_FORMAT", "JSON")
    bare.setenv("MARQUEE_PAYMENT_PROVIDER", "Sandbox")
    bare.setenv("MARQUEE_DEMO", "OFF")
    settings = load()
    assert (settings.log_level, settings.log_format, settings.payment_provider) == ("warning", "json", "sandbox")
    assert settings.demo is Demo.OFF


@pytest.mark.parametrize("url", ["smtp://post.example:99999", "smtp://post.example:none", "smtp://post.example:0"])
def test_a_url_with_a_port_that_is_none_is_refused(bare: pytest.MonkeyPatch, url: str) -> None:
    bare.setenv("MARQUEE_SMTP_URL", url)
    with pytest.raises(SettingsRefused, match="MARQUEE_SMTP_URL"):
        load()


def test_a_database_may_have_several_servers(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("MARQUEE_DATABASE_URL", "postgresql://marquee@one.example:5432,two.example:5433/marquee")
    assert load().database_url is not None


def test_partners_next_door_are_allowed_by_network_and_never_by_name(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("MARQUEE_WEBHOOK_ALLOW", "127.0.0.0/8,::1")
    assert load().webhook_allow == (ip_network("127.0.0.0/8"), ip_network("::1"))
    bare.setenv("MARQUEE_WEBHOOK_ALLOW", "localhost")
    with pytest.raises(SettingsRefused, match="MARQUEE_WEBHOOK_ALLOW 'localhost' does not appear to be"):
        load()


def test_a_dot_env_file_is_read_and_the_environment_wins(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MARQUEE_PORT=9001\nMARQUEE_HOST=127.0.0.2\nOTHER=1\n")
    bare.setenv("MARQUEE_PORT", "9002")
    settings = load()
    assert (settings.host, settings.port) == ("127.0.0.2", 9_002)


def test_an_empty_setting_is_no_setting(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("MARQUEE_DATABASE_URL", "")
    assert load().database_url is None


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        load().port = 1


def test_one_message_names_every_wrong_setting(bare: pytest.MonkeyPatch) -> None:
    wrong = {
        "MARQUEE_PORT": ("99999", "should be less than or equal to 65535"),
        "MARQUEE_HOLD_TTL_S": ("soon", "must be a whole number"),
        "MARQUEE_RATE_LIMIT": ("perhaps", "must be on or off"),
        "MARQUEE_LOG_FORMAT": ("xml", "should be 'console' or 'json'"),
        "MARQUEE_DEMO": ("often", "should be 'auto', 'on' or 'off'"),
        "MARQUEE_DATABASE_URL": ("mysql://x", "must look like postgresql://user:password@host/database"),
        "MARQUEE_SMTP_URL": ("mail", "must look like smtp://"),
        "MARQUEE_MAIL_FROM": ("the house", "must look like Marquee <tickets@house.example>"),
        "MARQUEE_TWILIO_BASE_URL": ("twilio", "must look like https://api.twilio.com"),
        "MARQUEE_TWILIO_FROM": ("+15550001111", "belongs together with TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"),
        "MARQUEE_TRUSTED_PROXIES": ("everybody", "does not appear to be an IPv4 or IPv6 network"),
        "MARQUEE_WORKERS": ("2", "must be 1: this version runs as one process"),
        "MARQUEE_PAYMENT_PROVIDER": ("paypal", "should be 'sandbox', 'stripe' or 'razorpay'"),
        "MARQUEE_STRIPE_SECRET_KEY": ("pk_test_1", "must begin with sk_ or rk_"),
        "MARQUEE_RAZORPAY_BASE_URL": ("http://api.razorpay.com", "must begin with https://"),
        "MARQUEE_JWT_SECRET": ("short", "must be at least 32 bytes long"),
        "MARQUEE_OTLP_URL": ("collector:4318", "must look like http://collector:4318"),
        "MARQUEE_OTLP_HEADERS": ("authorization", "must look like name=value,name=value"),
        "MARQUEE_TRACE_RATIO": ("often", "must be a number"),
        "MARQUEE_PROT": ("8080", "is not a setting"),
        "MARQUEE_NATS_URL": ("nats://x", "belongs to a part that this version does not have"),
    }
    for name, (value, _) in wrong.items():
        bare.setenv(name, value)
    with pytest.raises(SettingsRefused) as refusal:
        load()
    lines = str(refusal.value).splitlines()[1:]
    for name, (_, words) in wrong.items():
        assert any(line.startswith(f"  {name} ") and words in line for line in lines), (name, lines)
    assert len(lines) == len(wrong)


def test_a_collector_is_an_address_with_headers_and_a_ratio(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("MARQUEE_OTLP_URL", "http://[::1]:4318")
    bare.setenv("MARQUEE_OTLP_HEADERS", "authorization=Basic%20a=, x-scope=1")
    bare.setenv("MARQUEE_TRACE_RATIO", "0.05")
    settings = load()
    assert settings.otlp_url == "http://[::1]:4318/v1/traces"
    assert settings.otlp_headers == (("authorization", "Basic a="), ("x-scope", "1"))
    assert settings.trace_ratio == 0.05
    assert "Basic" not in repr(settings)
    for named, used in (("/otlp/", "/otlp/v1/traces"), ("/v1/traces", "/v1/traces")):
        bare.setenv("MARQUEE_OTLP_URL", f"https://collector.example{named}")
        assert load().otlp_url == f"https://collector.example{used}"


@pytest.mark.parametrize("url", ["ftp://collector", "http://", "http://me:secret@collector", "http://collector?a=b"])
def test_what_is_no_collector_is_refused(bare: pytest.MonkeyPatch, url: str) -> None:
    bare.setenv("MARQUEE_OTLP_URL", url)
    with pytest.raises(SettingsRefused, match="MARQUEE_OTLP_URL must look like http://collector:4318"):
        load()


@pytest.mark.parametrize("headers", ["a b=c", "a=c%0d%0aevil: 1", "a=", "=b", "a=é"])
def test_a_header_that_could_not_be_sent_is_refused(bare: pytest.MonkeyPatch, headers: str) -> None:
    bare.setenv("MARQUEE_OTLP_HEADERS", headers)
    with pytest.raises(SettingsRefused, match="MARQUEE_OTLP_HEADERS must look like name=value"):
        load()


def test_a_collector_needs_the_extra(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("MARQUEE_OTLP_URL", "http://collector:4318")
    for name in [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]:
        bare.delitem(sys.modules, name)
    bare.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(
        SettingsRefused, match=r"MARQUEE_OTLP_URL needs the extra named traces: install marquee\[traces\]"
    ):
        load()


def test_twilio_is_set_as_a_whole_and_its_token_is_not_shown(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("MARQUEE_TWILIO_ACCOUNT_SID", "AC1")
    with pytest.raises(SettingsRefused, match="MARQUEE_TWILIO_FROM belongs together"):
        load()
    bare.setenv("MARQUEE_TWILIO_AUTH_TOKEN", "hunter2")
    bare.setenv("MARQUEE_TWILIO_FROM", "+15550001111")
    settings = load()
    assert settings.twilio_base_url == "https://api.twilio.com"
    assert "hunter2" not in repr(settings)


def test_people_find_the_site_where_it_was_said_to_be(bare: pytest.MonkeyPatch) -> None:
    assert load().site == "http://127.0.0.1:8080"
    bare.setenv("MARQUEE_PUBLIC_URL", "https://tickets.example/")
    assert load().site == "https://tickets.example"


@pytest.mark.parametrize(
    ("provider", "needed"),
    [
        ("stripe", ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_PUBLISHABLE_KEY")),
        ("razorpay", ("RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET", "RAZORPAY_WEBHOOK_SECRET")),
    ],
)
def test_a_provider_without_its_keys_stops_the_start(
    bare: pytest.MonkeyPatch, provider: str, needed: tuple[str, ...]
) -> None:
    bare.setenv("MARQUEE_PAYMENT_PROVIDER", provider)
    with pytest.raises(SettingsRefused) as refusal:
        load()
    for name in needed:
        assert f"MARQUEE_{name} must be set: MARQUEE_PAYMENT_PROVIDER is {provider}" in str(refusal.value)


def test_keys_of_a_provider_are_never_shown(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("MARQUEE_PAYMENT_PROVIDER", "stripe")
    bare.setenv("MARQUEE_STRIPE_SECRET_KEY", "sk_live_hunter2")
    bare.setenv("MARQUEE_STRIPE_WEBHOOK_SECRET", "whsec_hunter2")
    bare.setenv("MARQUEE_STRIPE_PUBLISHABLE_KEY", "sk_live_hunter2")
    with pytest.raises(SettingsRefused) as refusal:
        load()
    assert "hunter2" not in str(refusal.value)
    bare.setenv("MARQUEE_STRIPE_PUBLISHABLE_KEY", "pk_live_1")
    assert "hunter2" not in repr(load())


def test_a_refused_secret_is_not_shown(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("MARQUEE_JWT_SECRET", "hunter2")
    with pytest.raises(SettingsRefused) as refusal:
        load()
    assert "hunter2" not in str(refusal.value)


def test_the_secret_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    first = load().jwt_secret
    place = tmp_path / "data/jwt-secret"
    assert len(first.encode()) >= 32
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert load().jwt_secret == first
    assert first not in repr(load())


def test_a_secret_that_was_cut_short_on_disk_is_refused(tmp_path: Path) -> None:
    load()
    (tmp_path / "data/jwt-secret").write_text("short")
    with pytest.raises(SettingsRefused, match="jwt-secret is shorter than 32 bytes"):
        load()


def test_a_given_secret_is_used_and_nothing_is_written(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare.setenv("MARQUEE_JWT_SECRET", "s" * 32)
    assert load().jwt_secret == "s" * 32
    assert not (tmp_path / "data").exists()


def test_a_data_folder_that_cannot_be_written_is_named(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    bare.setenv("MARQUEE_DATA_DIR", str(tmp_path / "file/data"))
    with pytest.raises(SettingsRefused, match="file/data cannot be written"):
        load()


def test_roots_data_lies_where_the_database_can_enter(bare: pytest.MonkeyPatch) -> None:
    bare.setattr("os.geteuid", lambda: 0)
    assert config.default_folder() == Path("/var/lib/marquee")


def test_a_users_data_lies_in_the_home(bare: pytest.MonkeyPatch) -> None:
    bare.setattr("os.geteuid", lambda: 1_000)
    bare.delenv("XDG_DATA_HOME", raising=False)
    bare.setenv("HOME", "/home/ana")
    assert config.default_folder() == Path("/home/ana/.local/share/marquee")


def test_an_empty_home_is_looked_up(bare: pytest.MonkeyPatch) -> None:
    own = Path(config.pwd.getpwuid(os.getuid()).pw_dir)
    bare.setattr("os.geteuid", lambda: 1_000)
    bare.setattr("pwd.getpwuid", lambda _: config.pwd.struct_passwd(("x", "", 1, 1, "", str(own), "")))
    bare.delenv("XDG_DATA_HOME", raising=False)
    bare.setenv("HOME", "")
    assert config.default_folder() == own / ".local/share/marquee"
