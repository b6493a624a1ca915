"""Every setting of a node in one frozen object: flags, then CHATROOMS_*, then a TOML file."""

import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

ENV_PREFIX: Final = "CHATROOMS_"
CHAT_VARIABLES: Final = ("CHATROOMS_TOKEN", "CHATROOMS_PASSWORD")
"""Read by `chatrooms chat`, and so no settings of a node, but known."""
CONFIG_FILE_VARIABLE: Final = "CHATROOMS_CONFIG"
CONFIG_FILE_DEFAULT: Final = Path("chatrooms.toml")
FAILPOINTS: Final = (
    "store.before_commit",
    "store.mid_commit",
    "store.after_commit",
    "hub.mid_fanout",
)
_FAILPOINT = re.compile(r"(?P<name>[a-z_.]+)=(?P<action>[a-z]+)@(?P<nth>[1-9][0-9]{0,8})")
_ORIGIN = re.compile(r"https?://[^/\s?#@]+")

Port = Annotated[int, Field(ge=1, le=65_535)]
Words = Annotated[tuple[str, ...], NoDecode]


class ConfigError(Exception):
    """A setting is wrong; the message is one sentence for the person who set it."""


class Mode(StrEnum):
    """Development trusts loopback and makes a demo room; production refuses what is unsafe."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Failpoint(NamedTuple):
    """Abort the process at the `nth` (>= 1) passage of a named place."""

    action: str
    nth: int


class Config(BaseSettings):
    """The settings of one node. Field names are the TOML keys; upper case after CHATROOMS_, env."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENV_PREFIX,
        env_ignore_empty=True,
        validate_default=False,
    )

    mode: Mode = Field(Mode.DEVELOPMENT, description="development or production")
    host: str = Field("127.0.0.1", description="address both ports listen on")
    http_port: Port = Field(8000, description="REST, /docs and health")
    ws_port: Port = Field(8001, description="WebSocket, path /ws")
    admin_host: str = Field("127.0.0.1", description="address of the admin port")
    admin_port: Port = Field(8002, description="/metrics in production mode")
    data_dir: Path = Field(Path("data"), description="database, lock and admin socket")
    accept_rollback: bool = Field(
        default=False, description="start on a database older than its high-water mark"
    )
    sqlite_synchronous: Literal["FULL", "NORMAL"] = Field(
        "FULL", description="NORMAL may lose acked messages when the power fails"
    )
    origins: Words | None = Field(None, description="browser origins that may connect")
    trusted_proxies: Words = Field((), description="addresses whose X-Forwarded-For counts")
    shards: int = Field(1, ge=1, le=64, description="I/O threads")
    io: Literal["epoll", "auto"] = Field("auto", description="how sockets are polled")
    deflate: bool = Field(default=False, description="offer permessage-deflate (RFC 7692)")
    ping_ms: int = Field(25_000, ge=1_000, le=3_600_000, description="interval of pings")
    rate_limits: bool = Field(default=True, description="off lifts rates, never sizes or counts")
    subscriptions_max: int = Field(100, ge=1, le=10_000, description="rooms a connection follows")
    connections_max: int = Field(200_000, ge=1, description="open connections of the node")
    connections_per_address: int = Field(0, ge=0, description="of one address; 0 is no limit")
    handshakes_per_address_max: int = Field(1_024, ge=1, description="unfinished, of one address")
    recent_bytes_max: int = Field(67_108_864, ge=0, description="events kept for fast resume")
    outgoing_bytes_max: int = Field(
        1_073_741_824, ge=0, description="all backlogs together; 0: no bound"
    )
    answer_timeout_ms: int = Field(5_000, ge=50, le=60_000, description="then `timeout`")
    drain_notice_ms: int = Field(200, ge=0, le=5_000, description="from notice to close 4110")
    drain_window_ms: int = Field(4_000, ge=0, le=8_000, description="over which notices spread")
    access_token_seconds: int = Field(900, ge=30, le=86_400, description="life of access tokens")
    refresh_token_seconds: int = Field(
        2_592_000, ge=300, le=31_536_000, description="life of refresh tokens"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="from")
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: console in development, json in production"
    )
    failpoints: Annotated[Mapping[str, Failpoint], NoDecode] = Field(
        default_factory=dict, description="NAME=abort@N;…, for crash tests"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` merged counts, so that each value has one known source."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @field_validator("mode", "io", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("sqlite_synchronous", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("host", "admin_host", mode="before")
    @classmethod
    def _address(cls, value: object) -> object:
        if value == "localhost":
            return "127.0.0.1"
        try:
            return str(ipaddress.ip_address(str(value)))
        except ValueError:
            raise ValueError("must be an IP address") from None

    @field_validator("origins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(word for word in re.split(r"[,\s]+", value) if word)
        return value

    @field_validator("origins")
    @classmethod
    def _exact_origins(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for origin in value or ():
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is not scheme://host[:port]")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            try:
                ipaddress.ip_network(network)
            except ValueError:
                raise ValueError(f"{network!r} is not an address or network") from None
        return value

    @field_validator("failpoints", mode="before")
    @classmethod
    def _parse_failpoints(cls, value: object) -> object:
        return parse_failpoints(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.mode is Mode.PRODUCTION and self.failpoints:
            raise ValueError("failpoints are refused in production mode")
        ports = [self.http_port, self.ws_port] + [self.admin_port] * self.production
        if len(set(ports)) < len(ports):
            raise ValueError("http_port, ws_port and admin_port must differ")
        return self

    @property
    def production(self) -> bool:
        """Whether the node runs in production mode."""
        return self.mode is Mode.PRODUCTION

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The exact origins that may open sockets: in development, pages of the REST port."""
        if self.origins is not None:
            return self.origins
        if self.production:
            return ()
        hosts = dict.fromkeys(("127.0.0.1", "localhost"))
        return tuple(f"http://{host}:{self.http_port}" for host in hosts)

    @property
    def socket_origins(self) -> tuple[str, ...]:
        """What pages of the REST port may connect to beside it: in development, the sockets."""
        if self.production:
            return ()
        return tuple(f"ws://{host}:{self.ws_port}" for host in ("127.0.0.1", "localhost"))

    @property
    def admin_socket(self) -> Path:
        """Where the CLI reaches the running node."""
        return self.data_dir / "admin.sock"


class Loaded(NamedTuple):
    """A config, where each field came from, the file read, and variables that mean nothing."""

    config: Config
    sources: Mapping[str, str]
    file: Path | None
    unknown_variables: tuple[str, ...]


def load(flags: Mapping[str, Any] | None = None, file: Path | None = None) -> Loaded:
    """Merges flags (None values are absent), environment and TOML; raises ConfigError."""
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    path = _config_file(file)
    layers: list[tuple[Callable[[str], str], Mapping[str, Any]]] = [
        (lambda name: f"flag --{name.replace('_', '-')}", InitSettingsSource(Config, given)()),
        (lambda name: f"environment {ENV_PREFIX}{name.upper()}", EnvSettingsSource(Config)()),
        (lambda _: f"file {path}", {} if path is None else _read_toml(path)),
    ]
    values: dict[str, Any] = {}
    sources = dict.fromkeys(Config.model_fields, "default")
    for label, layer in reversed(layers):
        values.update(layer)
        sources.update({name: label(name) for name in layer})
    try:
        config = Config(**values)
    except ValidationError as error:
        raise ConfigError(_sentence(error, sources)) from None
    return Loaded(config, sources, path, _unknown_variables())


def parse_failpoints(text: str) -> dict[str, Failpoint]:
    """Reads `NAME=abort@N;…`; ValueError names what is wrong."""
    points: dict[str, Failpoint] = {}
    for item in filter(None, (part.strip() for part in text.split(";"))):
        match = _FAILPOINT.fullmatch(item)
        if match is None or match["action"] != "abort":
            raise ValueError(f"{item!r} is not NAME=abort@N")
        if match["name"] not in FAILPOINTS:
            raise ValueError(f"{match['name']!r} is none of {', '.join(FAILPOINTS)}")
        points[match["name"]] = Failpoint(match["action"], int(match["nth"]))
    return points


def _config_file(file: Path | None) -> Path | None:
    named = file or (
        Path(os.environ[CONFIG_FILE_VARIABLE]) if os.environ.get(CONFIG_FILE_VARIABLE) else None
    )
    if named is not None:
        return named
    return CONFIG_FILE_DEFAULT if CONFIG_FILE_DEFAULT.is_file() else None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the config file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}") from None


def _unknown_variables() -> tuple[str, ...]:
    known = {ENV_PREFIX + name.upper() for name in Config.model_fields}
    known |= {CONFIG_FILE_VARIABLE, *CHAT_VARIABLES}
    return tuple(
        sorted(name for name in os.environ if name.startswith(ENV_PREFIX) and name not in known)
    )


def _sentence(error: ValidationError, sources: Mapping[str, str]) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    reason = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return reason
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return f"there is no setting {name!r} ({sources.get(name, 'given')})"
    reason = reason[0].lower() + reason[1:]
    return f"{name} ({sources.get(name, 'given')}): {reason}"
