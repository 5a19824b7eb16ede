"""Additional details: addresses, phone numbers and opening hours of an object, by their keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from airflow_provider.core.input.problems import nearest
from airflow_provider.core.input.values import (
    normal_key,
    shown_value,
)
from airflow_provider.core.json_types import Json

PREFIX = "detail."
"""Beginning of the columns that are parts of a detail: ``detail.website``, ``detail.website.icon``."""

TYPES = ("email", "url", "phone", "openinghours")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MEMBERS = ("key", "detailType", "value", "active", "icon", "displayText", "openingHours")

TEXT_MEMBERS = ("detailType", "value", "icon")
_URL = re.compile(r"(https?://)?[^\s{}/@:]+\.[^\s{}/.][^\s{}]*", re.I)
_PHONE = re.compile(r"\+?[A-Za-z0-9 ().-]+", re.ASCII)
_TIME = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d)(?:\.0+)?)?(?:\s?([AaPp])\.?[Mm]\.?)?", re.ASCII)
_PHONE_DIGITS = 15
"""Maximum letters and digits of a phone number."""


class PartialDetails(list[Json]):
    """Details of which a row owns some members, from columns; the others stay as they are on the object.

    A detail whose ``value`` is empty is removed.
    """

    __slots__ = ()


# -- validation ---------------------------------------------------------------------------------------


def problems(details: Sequence[Any], languages: Iterable[str] = (), found: object = None) -> Iterator[str]:
    """Yield what is wrong with details.

    :param details: the details; those of columns may lack what the object has.
    :param languages: the languages that displayed texts may have; empty for any.
    :param found: the object's details; one of a row that is equal to one of them is right.
    """
    is_partial, seen = isinstance(details, PartialDetails), set[str]()
    there = _by_key(found)
    for number, detail in enumerate(details):
        if not isinstance(detail, Mapping):
            yield f"additionalDetails[{number}] must be an object, not {type(detail).__name__}"
            continue
        key = detail.get("key")
        if not isinstance(key, str) or not key.strip():
            yield f"additionalDetails[{number}] has no key"
            continue
        if key in seen:
            yield f"additionalDetails has the key {key!r:.60} twice"
        seen.add(key)
        if key in there and same(detail, there[key]):
            continue
        if key != key.strip() and key not in there:
            yield f"additionalDetails {key!r:.60} has blanks around its key"
        for problem in _detail_problems(detail, languages, is_partial):
            yield f"additionalDetails {key!r:.60} {problem}"


def _detail_problems(detail: Mapping[str, Any], languages: Iterable[str], is_partial: bool) -> Iterator[str]:
    for name in detail:
        if name not in MEMBERS:
            yield f"has the unknown member {str(name)!r:.60}{nearest(str(name)[:100], MEMBERS)}"
    if not isinstance(detail.get("active"), (bool, type(None))):
        yield f"has an active that is not true or false: {shown_value(detail['active'])}"
    yield from _text_problems(detail.get("displayText"), languages)
    wrong = [name for name in TEXT_MEMBERS if not isinstance(detail.get(name), (str, type(None)))]
    yield from (f"has a {name} that is no text: {shown_value(detail[name])}" for name in wrong)
    if not wrong:
        yield from _value_problems(detail, is_partial)


def _value_problems(detail: Mapping[str, Any], is_partial: bool) -> Iterator[str]:
    """Yield what is wrong with a detail's type, and with its value or opening hours."""
    kind, hours = detail.get("detailType"), detail.get("openingHours")
    if hours:
        yield from _hours_problems(hours)
    if hours and is_partial and detail.get("value") == "":
        yield "has an empty value, which removes it, and opening hours"
    if kind is None and is_partial:
        return
    if kind not in TYPES:
        known = f"must be one of {', '.join(TYPES)}, not {shown_value(kind)}"
        yield f"detailType {known}{nearest(str(kind)[:100], TYPES)}"
    elif kind == "openinghours":
        if not is_partial and not hours:
            yield "has no openingHours"
    else:
        value = detail.get("value") or ""
        if (value or not is_partial) and (wrong := _VALUE_PROBLEMS[kind](value)):
            yield f"value {shown_value(value)} is no {kind}: {wrong}"


def _text_problems(texts: Any, languages: Iterable[str]) -> Iterator[str]:
    if texts is None:
        return
    if not isinstance(texts, Mapping) or not all(isinstance(text, str) for text in texts.values()):
        yield f"has a displayText that is no object of texts by language: {shown_value(texts)}"
        return
    known = {"generic", *languages}
    if len(known) > 1:
        for language in texts:
            if language not in known:
                listed = ", ".join(sorted(known))
                yield f"has a displayText in {language!r:.60}, which the solution does not have ({listed})"


def _hours_problems(hours: Any) -> Iterator[str]:
    days = hours.get("standardOpeningHours") if isinstance(hours, Mapping) else None
    if not isinstance(days, Mapping) or set(hours) != {"standardOpeningHours"}:
        yield "has openingHours that are no object with standardOpeningHours"
        return
    for day, span in days.items():
        if day not in DAYS:
            yield f"has opening hours on {str(day)!r:.60}{nearest(str(day)[:100], DAYS)}"
        elif not isinstance(span, Mapping):
            yield f"has opening hours on {day} that are no object"
        else:
            yield from (f"has opening hours on {day} {problem}" for problem in _span_problems(span))


def _span_problems(span: Mapping[str, Any]) -> Iterator[str]:
    for name in span:
        if name not in ("closedAllDay", "startTime", "endTime"):
            yield f"with the unknown member {str(name)!r:.60}"
    closed = span.get("closedAllDay")
    if not isinstance(closed, (bool, type(None))):
        yield f"whose closedAllDay is not true or false: {shown_value(closed)}"
    if closed:
        return
    times = [minutes(span.get(name)) for name in ("startTime", "endTime")]
    for name, time in zip(("startTime", "endTime"), times, strict=True):
        if time is None:
            yield f"whose {name} is no time such as 16:00 or 4:00 PM: {shown_value(span.get(name))}"
    if None not in times and times[0] == times[1]:
        yield "that begin and end at the same time"


def minutes(text: object) -> int | None:
    """Return a time of day, of 24 or 12 hours, in minutes after midnight; None for any other value.

    Seconds are left out, because the service drops them.
    """
    found = _TIME.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        return None
    hour, minute, second, half = int(found[1]), int(found[2]), int(found[3] or 0), found[4]
    least, most = (1, 12) if half else (0, 23)
    if not least <= hour <= most or minute > 59 or second > 59:
        return None
    if half:
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    return hour * 60 + minute


def _email_problem(value: str) -> str:
    if "@" not in value[1:-1]:
        return "it needs an @ inside"
    return "it has blanks" if re.search(r"\s", value) else ""


def _url_problem(value: str) -> str:
    if re.search(r"\s", value):
        return "blanks must be encoded, as %20"
    if re.search(r"[{}]", value):
        return "it has braces"
    if "://" in value and not re.match(r"https?://", value, re.I):
        return "its scheme must be http or https"
    return "" if _URL.fullmatch(value) else "it needs a domain, such as example.org"


def _phone_problem(value: str) -> str:
    if not _PHONE.fullmatch(value):
        return "it may have letters, digits, blanks, ( ) - . and a + at the beginning"
    count = sum(letter.isalnum() for letter in value)
    return (
        "" if 1 <= count <= _PHONE_DIGITS else f"it has {count} letters and digits, not 1 to {_PHONE_DIGITS}"
    )


_VALUE_PROBLEMS = {"email": _email_problem, "url": _url_problem, "phone": _phone_problem}


# -- comparison ---------------------------------------------------------------------------------------


def same(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Return whether a detail has the members that are wanted; members that are not named do not count.

    Opening hours are compared as times of day, and an empty value is equal to none.
    """
    return all(_same_member(name, value, found.get(name)) for name, value in wanted.items())


def _same_member(name: str, wanted: Any, found: Any) -> bool:
    if _is_empty(wanted) or _is_empty(found):
        return _is_empty(wanted) and _is_empty(found)
    if name in DAYS:
        return bool(_span_of(wanted) == _span_of(found))
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return all(_same_member(key, value, found.get(key)) for key, value in wanted.items())
    return bool(wanted == found)


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _span_of(span: Any) -> Any:
    if not isinstance(span, Mapping):
        return span
    if span.get("closedAllDay"):
        return "closed"
    given = [span.get(name) for name in ("startTime", "endTime")]
    return [minutes(time) if minutes(time) is not None else time for time in given]


def same_details(wanted: Sequence[Any], found: Sequence[Any]) -> bool:
    """Return whether an object has the details that are wanted; their order does not count.

    A list owns all keys; details of columns own theirs, and of each the members that they name.

    :param wanted: the details of a row.
    :param found: those of the object.
    """
    there = _by_key(found)
    if not isinstance(wanted, PartialDetails):
        if wanted == found:
            return True
        if ambiguities(wanted) or ambiguities(found) or {one["key"] for one in wanted} != there.keys():
            return False
    for detail in wanted:
        mine = there.get(detail["key"])
        if _is_removal(wanted, detail):
            if mine is not None:
                return False
        elif mine is None or not same(detail, mine):
            return False
    return True


def detail_differences(wanted: Sequence[Any], found: object) -> Iterator[str]:
    """Yield a sentence for each detail in which an object is not as it was sent.

    :param wanted: all details that were sent.
    :param found: those of the object.
    """
    there, sent = _by_key(found), _by_key(wanted)
    yield from (f"detail {key!r:.60} is still there" for key in there if key not in sent)
    for key, detail in sent.items():
        if key not in there:
            yield f"detail {key!r:.60} is not there"
        for name, value in detail.items() if key in there else ():
            if not _same_member(name, value, there[key].get(name)):
                shown_values = f"{shown_value(there[key].get(name))}, not {shown_value(value)}"
                yield f"detail {key!r:.60} has the {name} {shown_values}"


def with_languages(details: Sequence[Any], known: Iterable[str]) -> list[Any]:
    """Return details whose displayed texts have the languages of the solution, in its own letter case.

    :param details: the details of a row.
    :param known: the languages of the solution.
    """
    written = {language.lower(): language for language in ("generic", *known)}
    out = [_with_languages(detail, written) for detail in details]
    return PartialDetails(out) if isinstance(details, PartialDetails) else out


def _with_languages(detail: Any, written: Mapping[str, str]) -> Any:
    texts = detail.get("displayText") if isinstance(detail, Mapping) else None
    if not isinstance(texts, Mapping):
        return detail
    named = {language: written.get(language.strip().lower(), language) for language in texts}
    if len(set(named.values())) < len(named):
        return detail
    return {**detail, "displayText": {named[language]: text for language, text in texts.items()}}


def _is_removal(details: Sequence[Any], detail: Mapping[str, Any]) -> bool:
    return isinstance(details, PartialDetails) and detail.get("value") == "" and "openingHours" not in detail


def complete(wanted: Sequence[Any], found: object) -> list[Json]:
    """Return the details as they are sent: with the members that the row does not name, unchanged.

    :param wanted: the details of a row.
    :param found: those of the object.
    """
    there = _by_key(found)
    is_partial = isinstance(wanted, PartialDetails)
    if not is_partial and ambiguities(wanted):
        return list(wanted)
    out = dict(there) if is_partial else {}
    for detail in wanted:
        key = detail["key"]
        if _is_removal(wanted, detail):
            out.pop(key, None)
        else:
            out[key] = _merged(there.get(key) or {}, detail)
    return list(out.values())


def _merged(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Json:
    out = dict(found)
    for name, value in wanted.items():
        if name not in DAYS and isinstance(value, Mapping) and isinstance(out.get(name), Mapping):
            out[name] = _merged(out[name], value)
        elif value is not None or name in DAYS:
            out[name] = value
    return out


def ambiguities(details: object) -> list[str]:
    """Return what keeps the details of an object from being identified by their keys.

    :param details: the details.
    """
    listed = details if isinstance(details, list) else []
    keys = [one.get("key") if isinstance(one, Mapping) else None for one in listed]
    texts = [key for key in keys if isinstance(key, str)]
    out = [f"the key {key!r:.60} more than once" for key in dict.fromkeys(texts) if texts.count(key) > 1]
    return out + (["a detail without a key"] if len(texts) < len(keys) else [])


def may_stay(wanted: Sequence[Any], found: object) -> bool:
    """Return whether an object's details, some of which no key identifies, need no write for a row.

    :param wanted: the details of the row, from columns.
    :param found: those of the object.
    """
    listed = found if isinstance(found, list) else []
    keys = [one.get("key") for one in listed if isinstance(one, Mapping)]
    is_named = any(keys.count(detail["key"]) > 1 for detail in wanted)
    return not is_named and same_details(wanted, listed)


def spelling_problems(wanted: Sequence[Any], found: object) -> Iterator[str]:
    """Yield a problem for each key of a column that differs only in case from another key.

    :param wanted: the details of the row, from columns.
    :param found: those of the object.
    """
    there = _by_key(found)
    seen = {normal_key(key).lower(): key for key in there}
    for detail in wanted:
        key = detail["key"]
        other = seen.setdefault(normal_key(key).lower(), key)
        if key not in there and other != key:
            yield (
                f"additionalDetails {key!r:.60} differs from {other!r:.60} in case only; did you mean"
                f" '{PREFIX}{other[:60]}'?"
            )


def _by_key(details: object) -> dict[str, Json]:
    listed = details if isinstance(details, list) else []
    return {
        detail["key"]: detail
        for detail in listed
        if isinstance(detail, dict) and isinstance(detail.get("key"), str)
    }


# -- types --------------------------------------------------------------------------------------------


def with_types(details: PartialDetails, found: object) -> tuple[PartialDetails, list[str]]:
    """Return details of columns with the types of new ones, and what is wrong with those that have none.

    The type is that of the row, or else that the object's detail has, or else the only one that the value
    can have. A detail that has a type only, as defaults give it, is left out.

    :param details: the details of a row.
    :param found: those of the object.
    """
    there, out, wrong = _by_key(found), PartialDetails(), list[str]()
    for detail in details:
        key = detail["key"]
        mine = there.get(key)
        if _is_removal(details, detail) or (mine is None and detail.keys() <= {"key", "detailType"}):
            out += [detail] if _is_removal(details, detail) else []
            continue
        kind = detail.get("detailType") or (mine or {}).get("detailType") or _type_of(detail)
        if not kind:
            hint = f"give it as {PREFIX}{key}.detailType: {', '.join(TYPES)}"
            wrong.append(f"additionalDetails {key!r:.60} is new and has no clear type; {hint}")
            continue
        typed = {**detail, "detailType": kind}
        if mine is None:
            wrong += problems([typed])
        elif "detailType" not in detail:
            wrong += problems(PartialDetails([typed]))
        out.append(typed if mine is None else detail)
    return out, wrong


def _type_of(detail: Mapping[str, Any]) -> str:
    """Return the only type that a detail can have; empty when there are several, or none."""
    if "openingHours" in detail:
        return "openinghours"
    value = detail.get("value") or ""
    if re.match(r"https?://|www\.", value, re.I):
        return "url"
    fitting = [kind for kind, check in _VALUE_PROBLEMS.items() if value and not check(value)]
    if "phone" in fitting and not re.fullmatch(r"\+?[0-9 ().-]{3,}", value):
        fitting.remove("phone")
    return fitting[0] if len(fitting) == 1 else ""


def with_defaults(defaults: object, own: object) -> object:
    """Return a row's details with those of the defaults that it does not name; both come from columns."""
    if not isinstance(defaults, PartialDetails) or not isinstance(own, PartialDetails):
        return own
    merged = {**_by_key(defaults)}
    for key, detail in _by_key(own).items():
        base = {} if _is_removal(own, detail) else merged.get(key) or {}
        merged[key] = _merged(base, detail)
    return PartialDetails(merged.values())


def emptied(details: Sequence[Any], found: object) -> list[Any]:
    """Return details with empty values for the members that only the object has.

    :param details: the details of a backup.
    :param found: those of the object.
    """
    there = _by_key(found)
    out = []
    for detail in details:
        mine = there.get(detail.get("key") or "", {}) if isinstance(detail, Mapping) else {}
        more = {name: _emptied(value) for name, value in mine.items() if name != "active"}
        if mine and detail.get("openingHours"):
            # There is no empty value for a day: a null day is wanted, and left out of the request.
            hours = mine.get("openingHours")
            days = hours.get("standardOpeningHours") if isinstance(hours, Mapping) else None
            more["openingHours"] = {"standardOpeningHours": dict.fromkeys(days or ())}
        out.append(_merged(more, detail) if mine else detail)
    return out


def without_null_days(item: Json) -> Json:
    """Return an object without the null days of its opening hours, as it is sent.

    :param item: the object; it stays as it is.
    """
    given = item.get("additionalDetails")
    return {**item, "additionalDetails": [_without_null_days(one) for one in given]} if given else item


def _without_null_days(detail: Any) -> Any:
    hours = detail.get("openingHours") if isinstance(detail, Mapping) else None
    if not isinstance(hours, Mapping) or not isinstance(hours.get("standardOpeningHours"), Mapping):
        return detail
    days = hours["standardOpeningHours"]
    left = {day: span for day, span in days.items() if span is not None}
    return {**detail, "openingHours": {**hours, "standardOpeningHours": left}}


def _emptied(value: Any) -> Any:
    return dict.fromkeys(value, "") if isinstance(value, Mapping) and _are_texts(value) else ""


def _are_texts(value: Mapping[str, Any]) -> bool:
    return all(isinstance(text, str) for text in value.values())
