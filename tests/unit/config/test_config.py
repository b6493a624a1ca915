"""Settings: which source wins, what is refused, and the sentence that says so."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from chatrooms.config import Config, ConfigError, Failpoint, Mode, load, parse_failpoints


@pytest.fixture(autouse=True)
def _empty_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable and no file of whoever runs the tests."""
    for name in [f"CHATROOMS_{field.upper()}" for field in Config.model_fields]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("CHATROOMS_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults_serve_on_loopback() -> None:
    """A newcomer who sets nothing is reachable by nobody else."""
    config = load().config
    assert (config.host, config.http_port, config.ws_port) == ("127.0.0.1", 8000, 8001)
    assert config.mode is Mode.DEVELOPMENT
    assert config.sqlite_synchronous == "FULL"


def test_flag_wins_over_environment_wins_over_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And each value knows where it came from."""
    file = tmp_path / "chatrooms.toml"
    file.write_text("http_port = 1\nws_port = 2\nadmin_port = 3\n")
    monkeypatch.setenv("CHATROOMS_WS_PORT", "22")
    monkeypatch.setenv("CHATROOMS_HTTP_PORT", "11")
    loaded = load({"http_port": 111, "ws_port": None})
    assert (loaded.config.http_port, loaded.config.ws_port) == (111, 22)
    assert loaded.config.admin_port == 3
    assert loaded.sources["http_port"] == "flag --http-port"
    assert loaded.sources["ws_port"] == "environment CHATROOMS_WS_PORT"
    assert loaded.sources["admin_port"] == "file chatrooms.toml"
    assert loaded.sources["host"] == "default"


def test_named_file_is_read_instead_of_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By flag or by CHATROOMS_CONFIG, the flag first."""
    for name, port in (("chatrooms.toml", 1), ("a.toml", 2), ("b.toml", 3)):
        (tmp_path / name).write_text(f"http_port = {port}\n")
    assert load().config.http_port == 1
    monkeypatch.setenv("CHATROOMS_CONFIG", "a.toml")
    assert load().config.http_port == 2
    assert load({}, Path("b.toml")).config.http_port == 3


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("HTTP_PORT", "abc", "http_port (environment CHATROOMS_HTTP_PORT)"),
        ("HTTP_PORT", "65536", "less than or equal to 65535"),
        ("HTTP_PORT", "0", "greater than or equal to 1"),
        ("HTTP_PORT", "8001", "must differ"),
        ("MODE", "staging", "'development' or 'production'"),
        ("PING_MS", "999", "greater than or equal to 1000"),
        ("HOST", "example.org", "must be an IP address"),
        ("IO", "uring", "'epoll' or 'auto'"),
        ("SHARDS", "0", "greater than or equal to 1"),
        ("SQLITE_SYNCHRONOUS", "OFF", "'FULL' or 'NORMAL'"),
        ("ORIGINS", "https://chat.example/", "is not scheme://host[:port]"),
        ("ORIGINS", "*", "is not scheme://host[:port]"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "is not an address or network"),
        ("RATE_LIMITS", "perhaps", "valid boolean"),
        ("DRAIN_WINDOW_MS", "9000", "less than or equal to 8000"),
        ("FAILPOINTS", "store.before_commit", "is not NAME=abort@N"),
        ("FAILPOINTS", "store.before_commit=sleep@1", "is not NAME=abort@N"),
        ("FAILPOINTS", "nowhere=abort@1", "is none of"),
        ("CONFIG", "absent.toml", "cannot read the config file absent.toml"),
    ],
)
def test_wrong_variable_is_named_in_one_sentence(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting, its source and what was wanted; one line."""
    monkeypatch.setenv(f"CHATROOMS_{name}", value)
    with pytest.raises(ConfigError) as error:
        load()
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("htp_port = 1", "there is no setting 'htp_port' (file chatrooms.toml)"),
        ("http_port = ", "chatrooms.toml is not a TOML file"),
        ("http_port = [1]", "http_port (file chatrooms.toml)"),
    ],
)
def test_wrong_file_is_named_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    """A typo in a file never passes as a default."""
    (tmp_path / "chatrooms.toml").write_text(text)
    with pytest.raises(ConfigError) as error:
        load()
    assert said in str(error.value)


def test_unknown_variables_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """They may belong to a newer version, so they are no error."""
    monkeypatch.setenv("CHATROOMS_HTP_PORT", "1")
    assert load().unknown_variables == ("CHATROOMS_HTP_PORT",)


def test_failpoints_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`NAME=abort@N`, several with `;`."""
    monkeypatch.setenv("CHATROOMS_FAILPOINTS", "store.mid_commit=abort@3; hub.mid_fanout=abort@10")
    assert load().config.failpoints == {
        "store.mid_commit": Failpoint("abort", 3),
        "hub.mid_fanout": Failpoint("abort", 10),
    }
    assert parse_failpoints("") == {}


def test_production_refuses_failpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test switch must not be able to kill a node that people use."""
    monkeypatch.setenv("CHATROOMS_FAILPOINTS", "store.mid_commit=abort@3")
    monkeypatch.setenv("CHATROOMS_MODE", "production")
    with pytest.raises(ConfigError, match="failpoints are refused in production mode"):
        load()


def test_development_lets_pages_of_the_rest_port_in() -> None:
    """So that a page served there may open the socket."""
    config = load({"http_port": 9000}).config
    assert config.allowed_origins == ("http://127.0.0.1:9000", "http://localhost:9000")


def test_production_lets_no_origin_in_by_default() -> None:
    """Who serves a page names it."""
    assert load({"mode": "production"}).config.allowed_origins == ()
    named = load({"mode": "production", "origins": "https://a.example, https://b.example:8"})
    assert named.config.allowed_origins == ("https://a.example", "https://b.example:8")


def test_rate_limits_are_switched_by_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The words of the protocol's page."""
    assert load().config.rate_limits
    monkeypatch.setenv("CHATROOMS_RATE_LIMITS", "off")
    assert not load().config.rate_limits


def test_config_cannot_be_changed() -> None:
    """Parts hold on to it, so it must be what it was."""
    config, name = load().config, "http_port"
    with pytest.raises(ValidationError):
        setattr(config, name, 1)
