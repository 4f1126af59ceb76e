"""Which authorities certificates are checked by: the setting's, the environment's, or certifi's."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from functools import lru_cache

# In the order in which requests and curl follow them; each is a file or a folder.
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_TRUST_ADVICE = (
    "If a proxy of your company inspects TLS, set the connection's verify, or REQUESTS_CA_BUNDLE or "
    "SSL_CERT_FILE where workers and triggerer run, to a PEM file with its certificate"
)


@dataclass(frozen=True)
class Trust:
    """By which authorities certificates are checked.

    :param source: the setting that says so; None where certificates are not checked.
    :param file: a PEM file.
    :param folder: folders of hashed certificates (``openssl rehash``), joined as in ``PATH``.
    """

    source: str | None
    file: str | None = None
    folder: str | None = None

    def context(self) -> ssl.SSLContext:
        """Return the settings of TLS.

        :raises OSError: file or folder cannot be read, or hold no certificates.
        """
        context = ssl.create_default_context(cafile=self.file, capath=self.folder)
        if self.source is None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    @property
    def advice(self) -> str:
        """What to do where a certificate is refused."""
        return f"Certificates are checked by {self.source}. {_TRUST_ADVICE}"


def find_trust(verify: bool | str) -> Trust:
    """Return the authorities of a setting, or with True of the environment; else certifi's.

    :raises ValueError: naming the variable whose path holds none.
    """
    if not isinstance(verify, bool):
        return trust_in("verify", verify)
    if not verify:
        return Trust(None)
    for name in _BUNDLES:
        if path := os.environ.get(name):
            return checked(trust_in(name, path))
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    trusted = [Trust("SSL_CERT_FILE", file=file)] if file else []
    trusted += [Trust("SSL_CERT_DIR", folder=folder)] if folder else []
    if trusted:
        source = " and ".join(str(checked(trust).source) for trust in trusted)
        return Trust(source, file or None, folder or None)
    import certifi

    return Trust("the certifi package", certifi.where())


def trust_in(source: str, path: str) -> Trust:
    """Return the authorities in a file, or a folder."""
    return Trust(source, folder=path) if os.path.isdir(path) else Trust(source, file=path)


def checked(trust: Trust) -> Trust:
    """Return the same, if there are such.

    :raises ValueError: there are none.
    """
    try:
        # OpenSSL takes a folder that is not there for an empty one.
        if trust.folder and not any(map(os.path.isdir, trust.folder.split(os.pathsep))):
            raise OSError
        _load(trust, os.stat(trust.file).st_mtime_ns if trust.file else 0)
    except (OSError, ValueError):
        raise ValueError(
            f"{trust.source} must be the path of a PEM file with certificates, or of a folder with such, "
            f"not {trust.file or trust.folder!r}"
        ) from None
    return trust


@lru_cache(maxsize=32)
def _load(trust: Trust, _changed: int) -> None:
    """Load the certificates, once for each change of their file: it takes 20 ms, in each of many triggers."""
    trust.context()
