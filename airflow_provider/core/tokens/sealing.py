"""Sealing: a token is stored encrypted with a key that only the credential yields.

A process that has the credential can request tokens anyway; to all others the stored bytes are noise.
"""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_MAGIC = b"adtt1"

_SALT = 16

_NONCE = 12

_KEY = 32

_COST = 2**15
"""Cost of a guess of a password: 32 MiB of memory, and a tenth of a second."""

MASTER_BYTES = 32


class Seal:
    """Encrypts and decrypts what is stored for one credential.

    :param secret: the token request with the credential; keys and name are derived from it.
    :param identity: the token request without the credential; authenticated along.
    :param is_guessable: whether a person chose the credential, so that a guess must be expensive.
    """

    def __init__(self, secret: bytes, identity: bytes, *, is_guessable: bool = False) -> None:
        self._identity = hashlib.sha256(identity).digest()
        self._master = _stretched(secret, self._identity) if is_guessable else secret
        # A changed credential has another name, so that it is used at once.
        self.name = _derived(self._master, self._identity, b"name")[:20].hex()

    def seal(self, plain: bytes, place: str) -> bytes:
        """Return bytes encrypted for one place of a store, with a fresh key.

        :param place: the full name under which they are stored.
        """
        salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
        sealed = self._cipher(salt).encrypt(nonce, plain, self._context(place))
        return _MAGIC + salt + nonce + sealed

    def open(self, data: bytes, place: str) -> bytes | None:
        """Return the decrypted bytes; None for anything that this credential did not seal for this place."""
        start = len(_MAGIC) + _SALT + _NONCE
        if not data.startswith(_MAGIC) or len(data) <= start:
            return None
        from cryptography.exceptions import InvalidTag

        salt, nonce = data[len(_MAGIC) : start - _NONCE], data[start - _NONCE : start]
        try:
            return self._cipher(salt).decrypt(nonce, data[start:], self._context(place))
        except InvalidTag:
            return None

    def _cipher(self, salt: bytes) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(_derived(self._master, salt, b"key"))

    def _context(self, place: str) -> bytes:
        return _MAGIC + self._identity + place.encode()


@lru_cache(maxsize=16)  # A triggerer has a hook for each trigger, all with the same few credentials.
def _stretched(secret: bytes, salt: bytes) -> bytes:
    memory = 2 * 128 * 8 * _COST
    return hashlib.scrypt(secret, salt=salt, n=_COST, r=8, p=1, maxmem=memory, dklen=MASTER_BYTES)


def _derived(secret: bytes, salt: bytes, purpose: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), _KEY, salt, purpose).derive(secret)
