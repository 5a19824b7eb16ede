"""Download of one photo into a file of its own, which has its name when it is complete."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_plus, urljoin

from airflow_provider.amigocloud.photos.galleries import REDIRECTS, Photo, photo
from airflow_provider.core.state.identity import fingerprint
from airflow_provider.errors import (
    InputError,
    NotFoundError,
    PermissionDeniedError,
    TransportError,
    one_line,
)

if TYPE_CHECKING:
    from airflow_provider.amigocloud.hooks import AmigoCloudHook
    from airflow_provider.core.http.call import Call
    from airflow_provider.core.http.sync_transport import Stream

_MAX_ATTEMPTS = 3
"""Maximum attempts of a download that breaks off, or whose link has expired."""

_MAX_NAME = 100
"""Maximum characters of a name within a path, and bytes of an id."""

_MAX_BYTES = 230
"""Maximum bytes of a file's name: file systems take 255, of which a temporary name needs some."""

_MAX_END = 20
"""Characters at the end of a name that are kept, for its suffix."""


class Saved(NamedTuple):
    """A photo's file.

    :param sha256: hash of its bytes.
    """

    uri: str
    bytes: int
    sha256: str


def path_of(of: Photo) -> str:
    """Return a photo's path below the folder: gallery, row, and the photo's id before its name."""
    name = _safe(of.id, _MAX_NAME)
    if name != of.id:  # Another id may look the same in a path.
        name += f"-{fingerprint(of.id)}"
    filename = _safe(of.filename, _MAX_BYTES - 1 - len(name.encode()))
    return f"{of.gallery.id}/{_safe(of.source, _MAX_NAME)}/{name}-{filename}"


def _safe(name: str | None, most: int) -> str:
    """Return a name without characters that paths, URLs or object storage read as something else.

    :param most: its maximum bytes.
    """
    text = re.sub(r"[^\w.-]+", "_", name or "").lstrip(".") or "_"
    text = text if len(text) <= _MAX_NAME else text[: _MAX_NAME - _MAX_END] + text[-_MAX_END:]
    data, end = text.encode(), text[-_MAX_END:].encode()
    return text if len(data) <= most else (data[: most - len(end)].decode(errors="ignore") + end.decode())


def save_photo(hook: AmigoCloudHook, of: Photo, uri: str) -> Saved | None:
    """Write a photo to a file; return None when the service has the entry, and no photo.

    A download that breaks off is retried from its start. The link that a redirect leads to is read without
    credentials, on hosts that the connection allows.

    :param hook: hook of the connection.
    :param of: the photo.
    :param uri: path of the file.
    """
    try:
        call = photo(of)
    except InputError:  # No URL can have such a name.
        return None
    for attempts_left in reversed(range(_MAX_ATTEMPTS)):
        try:
            return _save(hook, of, call, uri)
        except NotFoundError:
            if not attempts_left:  # One alone may be a stray one.
                return None
        except TransportError as error:
            if not attempts_left:
                raise
            hook.log.warning("%s; retrying the download of photo %s", error, one_line(of.id))
    return None


def _save(hook: AmigoCloudHook, of: Photo, call: Call[Any], uri: str) -> Saved:
    with hook.stream(call) as reply:
        if reply.status not in REDIRECTS:
            return _write(reply, uri)
        link = _resolved(reply.headers.get("location", ""), hook.settings.host)
        # Only a reply that was read leaves its connection to the next request.
        list(islice(reply.chunks(), 2))
    return _follow(hook, of, link, uri)


def _resolved(location: str, host: str) -> str:
    """Return where a redirect leads; a location that is no URL unchanged, which no download accepts."""
    try:
        return urljoin(host, location)
    except ValueError:
        return location


def _follow(hook: AmigoCloudHook, of: Photo, link: str, uri: str) -> Saved:
    """Write what a link leads to.

    :raises InputError: when the link holds the token, which no other host may see.
    :raises TransportError: when the link is refused: it is signed, and each attempt gets a new one.
    """
    if hook.settings.password in f"{link} {unquote_plus(link)}":
        raise InputError("the service's link to a photo holds the connection's token; it is not followed")
    try:
        with hook.download(link) as stream:
            return _write(stream, uri)
    except PermissionDeniedError as error:
        raise TransportError(f"the link to photo {of.id} was refused (HTTP {error.status})") from None


def _write(stream: Stream, uri: str) -> Saved:
    """Write a reply's body.

    :raises NotFoundError: when it is empty.
    :raises TransportError: when it is a web page, which gateways send with any status.
    """
    from airflow_provider.core.files.atomic import AtomicFile
    from airflow_provider.core.http.reply import Reply

    chunks = stream.chunks()
    first = next(chunks, b"")
    if not first:
        raise NotFoundError(stream.status, "", "the photo is empty")
    if Reply(stream.status, stream.headers, first).is_page:
        raise TransportError("the reply to the request for a photo is a web page (HTML)")
    with AtomicFile(uri) as file:
        file.write(first)
        for chunk in chunks:
            file.write(chunk)
    return Saved(uri, file.bytes, file.sha256)
