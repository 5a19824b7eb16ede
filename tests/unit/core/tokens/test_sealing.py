"""Sealed records: only the credential that sealed them opens them, at their own place."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider.core.tokens.record import RefusalRecord, TokenRecord, decode, encode
from airflow_provider.core.tokens.sealing import Seal

SECRET = b"https://api\0/token\0client_secret=s3cr3t%2B%26"
IDENTITY = b"https://api\0/token"
PLACE = "abc-boot.token"


@pytest.fixture(scope="module")
def seal() -> Seal:
    return Seal(SECRET, IDENTITY)


def test_a_sealed_record_opens_with_the_same_credential_in_another_process(seal: Seal) -> None:
    assert Seal(SECRET, IDENTITY).open(seal.seal(b"token", PLACE), PLACE) == b"token"


@pytest.mark.parametrize(
    ("secret", "identity", "place"),
    [
        (b"another", IDENTITY, PLACE),
        (SECRET, b"https://another\0/token", PLACE),
        (SECRET, IDENTITY, "abc-another-boot.token"),
    ],
    ids=["secret", "identity", "place"],
)
def test_another_credential_service_or_place_opens_nothing(
    seal: Seal, secret: bytes, identity: bytes, place: str
) -> None:
    assert Seal(secret, identity).open(seal.seal(b"token", PLACE), place) is None


def test_each_sealing_differs_and_shows_nothing_of_its_content(seal: Seal) -> None:
    sealed = {seal.seal(b"token" * 20, PLACE) for _ in range(20)}
    assert len(sealed) == 20
    assert not any(b"token" in data or SECRET in data for data in sealed)


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found(seal: Seal, at: int, bit: int) -> None:
    data = bytearray(seal.seal(b"token", PLACE))
    data[at % len(data)] ^= 1 << bit
    assert seal.open(bytes(data), PLACE) is None


@given(data=st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda data: b"adtt1" + data)))
def test_any_bytes_open_nothing(seal: Seal, data: bytes) -> None:
    assert seal.open(data, PLACE) is None


def test_the_name_is_another_one_for_another_secret_and_is_no_plain_hash(seal: Seal) -> None:
    assert seal.name == Seal(SECRET, IDENTITY).name
    assert seal.name != Seal(b"another", IDENTITY).name
    plain = [hashlib.new(kind, SECRET).hexdigest() for kind in ("md5", "sha1", "sha256")]
    assert not any(seal.name in text or text in seal.name for text in plain)


def test_a_password_is_stretched_once_in_a_process_before_name_and_key_are_derived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    costs: list[int] = []
    scrypt = hashlib.scrypt

    def counted(*args: object, **options: int) -> bytes:
        costs.append(options["n"] * options["r"])
        return scrypt(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(hashlib, "scrypt", counted)
    secret = SECRET + b"&once=1"
    seals = [Seal(secret, IDENTITY, is_guessable=True) for _ in range(3)]
    assert seals[1].open(seals[0].seal(b"token", PLACE), PLACE) == b"token"
    assert costs == [2**15 * 8]  # once, however many hooks use it
    Seal(secret + b"%", IDENTITY, is_guessable=True)
    Seal(secret, IDENTITY + b"/", is_guessable=True)
    assert len(costs) == 3
    assert seals[0].name != Seal(secret, IDENTITY).name


@given(
    record=st.one_of(
        st.builds(
            TokenRecord,
            st.text(st.characters(codec="utf-8")),
            st.floats(0, 1e9, allow_nan=False),
            st.floats(0, 1e9),
        ),
        st.builds(
            RefusalRecord,
            st.floats(0, 1e9),
            st.integers(400, 499),
            *[st.text(st.characters(codec="utf-8"))] * 3,
        ),
    )
)
def test_records_are_read_as_they_were_written(record: TokenRecord | RefusalRecord) -> None:
    assert decode(encode(record)) == record


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"type":"token"}', b'{"type":"other"}', b"\xff", b"[" * 9999]
)
def test_any_other_record_is_none(data: bytes) -> None:
    assert decode(data) is None


def test_a_token_is_used_until_its_renewal_and_not_before_its_issue() -> None:
    record = TokenRecord("t", issued_at=100.0, renew_after=60.0)
    ages = {
        now: found and found.age
        for now in (99.0, 100.0, 159.0, 160.0, 90.0, 1e9)
        if (found := record.at(now)) or 1
    }
    assert ages == {99.0: 0.0, 100.0: 0.0, 159.0: 59.0, 160.0: None, 90.0: None, 1e9: None}
    assert "t" not in repr(record).lower().replace("tokenrecord", "")


def test_a_refusal_counts_for_a_minute_and_says_since_when() -> None:
    record = RefusalRecord(100.0, 400, "invalid_client", "no", "POST https://x/token")
    error = record.at(112.4)
    assert error
    assert (error.status, error.code, error.request) == (400, "invalid_client", "POST https://x/token")
    assert "refused these credentials 12 s ago" in str(error)
    assert "not sent again for 48 s" in str(error)
    assert "a corrected credential is used at once" in str(error)
    assert record.at(160.0) is None
    assert record.at(90.0) is None
