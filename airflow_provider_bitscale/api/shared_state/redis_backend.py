"""Shared state in Redis or Valkey: one round trip a booking, by the server's clock."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_bitscale.api.errors import ConfigurationError
from airflow_provider_bitscale.api.limit import slot_book
from airflow_provider_bitscale.api.limit.bookings import Operation, Turn
from airflow_provider_bitscale.api.limit.headers import MAX_PAUSE
from airflow_provider_bitscale.api.metrics import SHARED_STATE_ERRORS, count
from airflow_provider_bitscale.api.shared_state.backend import MAX_VALUE_BYTES, UnavailableError
from airflow_provider_bitscale.api.shared_state.shared_state import PATIENCE_SECONDS

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger(__name__)

# What other programs keep in the same database has other names.
PREFIX = "bitscale:"
# A new book.
_EMPTY = asdict(slot_book.SlotBook())
KEEP_MILLISECONDS = 24 * 60 * 60 * 1000


class RedisBackend:
    """Holds slot books and small values in Redis or Valkey.

    :param url: ``redis://`` or ``rediss://`` with user, password, host and database. Options are those of
        the library that begin with ``ssl_``, such as ``?ssl_ca_certs=/path``.
    :raises ConfigurationError: the library is missing, or cannot read the URL.
    """

    blocks: ClassVar[bool] = True

    def __init__(self, url: str) -> None:
        self._redis = _client(url)
        self._script = self._redis.register_script(script())
        at = self._redis.connection_pool.connection_kwargs
        self._place = f"Redis at {at.get('host', 'localhost')}:{at.get('port', 6379)}"
        self._has_told = False
        self.scope = f"all who use database {at.get('db', 0)} of {self._place}"

    def apply(self, name: str, operation: Operation) -> Turn:
        """Do what is asked of a slot book."""
        return self.apply_and_tell(name, operation).turn

    def apply_and_tell(self, name: str, operation: Operation) -> Applied:
        """Do what is asked of a slot book; return the server's time, too."""
        asked = [type(operation).__name__, *(f"{float(field):.17g}" for field in operation)]
        key = book_key(name)
        applied = _read(self._asked(lambda: self._script(keys=[key], args=asked)))
        if applied is None:
            raise UnavailableError(f"{self._place} answers what cannot be read")
        if applied.is_replaced:
            self._tell_of_junk()
        return applied

    def get(self, name: str) -> bytes | None:
        """Return a value; None if there is none, or one that is empty or too long."""
        # A part of it, so that nothing of any size is loaded.
        value = self._asked(lambda: self._redis.getrange(PREFIX + name, 0, MAX_VALUE_BYTES))
        if value is not None and not isinstance(value, bytes):
            raise UnavailableError(f"{self._place} answers what cannot be read")
        if value and len(value) > MAX_VALUE_BYTES:
            self._tell_of_junk()
            return None
        return value or None

    def put(self, name: str, value: bytes, seconds: float) -> None:
        """Keep a value for so many seconds, unless it is too long."""
        if len(value) <= MAX_VALUE_BYTES:
            self._asked(lambda: self._redis.set(PREFIX + name, value, px=_milliseconds(seconds)))

    def claim(self, name: str, seconds: float) -> bool:
        """Claim a name for so many seconds; return whether it was free."""
        px = _milliseconds(seconds)
        return bool(self._asked(lambda: self._redis.set(PREFIX + name, b"", px=px, nx=True)))

    def delete(self, name: str) -> None:
        """Remove a value or a claim, if there is one."""
        self._asked(lambda: self._redis.delete(PREFIX + name))

    def _asked(self, question: Callable[[], Any]) -> Any:
        """Return the answer; None to a question for a value where there is something else."""
        try:
            return question()
        except Exception as error:  # What does not speak Redis makes the library fail in any way.
            if str(error).startswith("WRONGTYPE "):
                self._tell_of_junk()
                return None
            raise UnavailableError(f"{self._place}: {_reason(error)}") from None

    def _tell_of_junk(self) -> None:
        count(SHARED_STATE_ERRORS)
        if not self._has_told:
            self._has_told = True
            log.warning(
                "%s holds what is not worth believing under a name that begins with %s: it is ignored",
                self._place,
                PREFIX,
            )


class Applied(NamedTuple):
    """The script's answer.

    :param now: Unix seconds by the server's clock.
    :param is_replaced: whether there was something that is no book, or one not worth believing.
    """

    now: float
    is_replaced: bool
    turn: Turn


def book_key(name: str) -> str:
    """Return the key of a slot book."""
    return f"{PREFIX}{name}.{slot_book.LAYOUT:08x}"


@cache
def script() -> str:
    """Return what the server runs: the constants of the book in Python, and the script."""
    constants = {name: value for name, value in vars(slot_book).items() if name.isupper()}
    values = {**constants, "KEEP_MILLISECONDS": KEEP_MILLISECONDS}
    head = [
        *(f"local {name} = {value:.17g}" for name, value in values.items()),
        f"local FIELDS = {{{', '.join(repr(name) for name in _EMPTY)}}}",
        f"local EMPTY = {{{', '.join(f'{name} = {value:.17g}' for name, value in _EMPTY.items())}}}",
    ]
    return "\n".join([*head, Path(__file__).with_name("slot_book.lua").read_text(encoding="utf-8")])


def _client(url: str) -> Redis:
    try:
        from redis import ConnectionPool, Redis, RedisError
        from redis.backoff import NoBackoff
        from redis.connection import parse_url
        from redis.retry import Retry
    except ImportError:
        raise ConfigurationError(
            "shared_state_url names a Redis: pip install airflow-provider-bitscale[redis]"
        ) from None
    ours = {
        "socket_timeout": PATIENCE_SECONDS,
        "socket_connect_timeout": PATIENCE_SECONDS,
        # Whoever asks goes without an answer rather than wait for it.
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [],
        # With a newer one the library does not look whether the server has closed a connection.
        "protocol": 2,
        "decode_responses": False,
    }
    _check(url)
    try:
        asked = parse_url(url)  # type: ignore[no-untyped-call]
        if url.startswith("rediss:") and asked.get("ssl_cert_reqs") != "none":
            # Not by default in older ones.
            asked.setdefault("ssl_check_hostname", True)
        pool = ConnectionPool(**{**asked, **ours})
        pool.connection_class(**pool.connection_kwargs)
    except (RedisError, TypeError, ValueError):
        # Its message may have the password in it.
        raise ConfigurationError("shared_state_url is not one that the redis library can read") from None
    return Redis(connection_pool=pool)


def _check(url: str) -> None:
    """Refuse what the library would pass over, or take for an option of its own."""
    parts = urlsplit(url)
    if not re.fullmatch(r"/?[0-9]*", parts.path):
        raise ConfigurationError("shared_state_url names a database that is no number: redis://host:6379/1")
    if any(not option.startswith("ssl_") for option, _ in parse_qsl(parts.query)):
        raise ConfigurationError("shared_state_url may have options that begin with ssl_, and no others")


def _milliseconds(seconds: float) -> int:
    return max(1, round(1000 * seconds))


def _read(answer: object) -> Applied | None:
    """Return what the script answered; None if that is anything else."""
    if not isinstance(answer, bytes):
        return None
    try:
        now, is_replaced, granted, ticket, *rest = map(float, answer.split())
        turn = Turn(int(granted), int(ticket), *rest)
    except (TypeError, ValueError, OverflowError):
        return None
    is_turn = (
        turn == (granted, ticket, *rest)
        and granted >= 0
        and ticket >= -1
        and all(isfinite(number) and number >= 0 for number in rest)
        and max(turn.wait, turn.hold) <= 2 * MAX_PAUSE
    )
    return Applied(now, bool(is_replaced), turn) if is_turn else None


def _reason(error: Exception) -> str:
    """Say what went wrong without the server's words: they may repeat what was sent, a password too."""
    from redis import ConnectionError, TimeoutError

    name = type(error).__name__
    if type(error) in {ConnectionError, TimeoutError}:
        return f"{name}, {error}"
    code = re.match(r"[A-Z]{2,16}(?= )", str(error))
    return f"{name}, {code[0]}" if code else name
