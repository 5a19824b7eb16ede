"""Execution of a plan: creations one by one, updates and deletions in bulk, each verified by its reply."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.core.http.reply import truncate
from airflow_provider.core.http.twins import iterate, run
from airflow_provider.core.json_types import Json
from airflow_provider.errors import (
    AmbiguousWriteError,
    NotFoundError,
    PartialWriteError,
    RequestRejectedError,
    VerificationError,
    shorten,
)
from airflow_provider.iotstudio import api_admin
from airflow_provider.iotstudio.api import PAGE_SIZE
from airflow_provider.iotstudio.events.fleet import map_concurrently
from airflow_provider.iotstudio.sync.compare import list_fleet
from airflow_provider.iotstudio.sync.document import Change, Plan
from airflow_provider.iotstudio.things import write
from airflow_provider.iotstudio.things.blocks import in_blocks
from airflow_provider.iotstudio.things.description import patch_of

if TYPE_CHECKING:
    from airflow_provider.iotstudio.hooks import IoTStudioHook

Rejected = (RequestRejectedError, NotFoundError)


class PlanExecution:
    """The writes of a plan, and what came of them.

    A rejected row does not end the others. After any other error a retry of the task compares again, and
    writes what is left.

    :param hook: the space.
    :param plan: the plan.
    :param known: ids of the Things from before the first write.
    :param batch_size: maximum number of Things in a bulk update.
    :param concurrency: number of requests at the same time.
    :param verify: whether the replies must show what was sent.
    """

    def __init__(
        self,
        hook: IoTStudioHook,
        plan: Plan,
        known: Collection[str],
        *,
        batch_size: int,
        concurrency: int,
        verify: bool,
    ) -> None:
        self.done: Counter[str] = Counter()
        self.failed: list[tuple[Change, str]] = []
        self._hook = hook
        self._plan = plan
        self._known = known
        self._batch_size = batch_size
        self._concurrency = concurrency
        self._verify = verify
        self._has_bulk = True
        self._mismatches: list[str] = []

    def run(self, changes: Sequence[Change]) -> None:
        """Write changes.

        :param changes: those of the plan that are not done yet.
        :raises VerificationError: when replies show other descriptions than were sent.
        """
        self._hook.transport  # noqa: B018 - opened here once, before threads share it
        self._create([change for change in changes if change.operation == "create"])
        self._update([change for change in changes if change.operation == "update"])
        self._delete([change for change in changes if change.operation == "delete"])
        if self._mismatches:
            raise VerificationError(self._mismatches)

    def raise_if_failed(self) -> None:
        """Raise for the rows that the service has rejected.

        :raises PartialWriteError: naming each of them; all others are written.
        """
        if self.failed:
            raise PartialWriteError(
                [
                    f"row {change.row} ({change.key or change.id}): {problem}"
                    for change, problem in self.failed
                ],
                dict(self.done),
            )

    # -- creations ------------------------------------------------------------------------------------

    def _create(self, changes: Sequence[Change]) -> None:
        """Create Things; one of each model and categories first, whose title a template may replace.

        :raises VerificationError: when it does: the next run would not find the Thing, and create it again.
        """
        changes = self._without_taken(changes)
        first: dict[str, Change] = {}
        for change in changes:
            first.setdefault(_template_key(change), change)
        for change in first.values():
            self._finish_creation(change, self._create_one(change))
        rest = [change for change in changes if change is not first[_template_key(change)]]
        for change, made in zip(
            rest, map_concurrently(self._create_one, rest, self._concurrency), strict=True
        ):
            self._finish_creation(change, made)
        self._find_doubles(changes)

    def _without_taken(self, changes: Sequence[Change]) -> list[Change]:
        """Return the creations whose title no other client has used since the Things were read."""
        taken = self._new_things([change.key for change in changes])
        for change in changes:
            if ids := taken.get(change.key):
                reason = (
                    f"Thing {ids[0]} of this title was created since the Things were read; run the sync again"
                )
                self.failed.append((change, reason))
        return [change for change in changes if change.key not in taken]

    def _find_doubles(self, changes: Sequence[Change]) -> None:
        """Note the titles that another client has used, too, while the Things were created."""
        self._mismatches += [
            f"title {title!r:.80} is that of {len(ids)} new Things: {', '.join(shorten(sorted(ids), 5))};"
            " another sync ran at the same time. Delete all but one of them, and run one sync at a time"
            for title, ids in self._new_things([change.key for change in changes]).items()
            if len(ids) > 1
        ]

    def _new_things(self, titles: Collection[str]) -> dict[str, list[str]]:
        """Return the ids of Things by their titles, as far as they were not known before the first write."""
        wanted = frozenset(titles)
        found: dict[str, list[str]] = {}
        by_title = (
            len(titles) <= 1 + len(self._known) // PAGE_SIZE
        )  # else the whole list takes fewer requests
        for title in titles if by_title else [None]:
            for thing in list_fleet(self._hook, self._plan.category, title):
                if thing["uid"] not in self._known and thing.get("title") in wanted:
                    found.setdefault(thing["title"], []).append(thing["uid"])
        return found

    def _create_one(self, change: Change) -> Json | str:
        """Create a Thing; return its description, or why it was rejected."""

        async def create() -> Json:
            call = api_admin.create_thing(self._hook.space, change.body)
            made = await self._hook.asend(call)
            if not isinstance(made.get("uid"), str):
                reason = f"the reply has the uid {made.get('uid')!r:.80}"
                raise AmbiguousWriteError(f"{call.name}: {reason}", reason)
            return made

        async def find() -> Json | None:
            things = list_fleet(self._hook, self._plan.category, change.key)
            new = (thing for thing in things if thing["uid"] not in self._known)
            return next((thing for thing in new if thing.get("title") == change.key), None)

        try:
            return run(write.create_once(self._hook, create, find, f"Thing '{change.key:.100}'"))
        except Rejected as error:
            return _reason(error)

    def _finish_creation(self, change: Change, made: Json | str) -> None:
        if isinstance(made, str):
            self.failed.append((change, made))
            return
        self.done["create"] += 1
        if made.get("title") != change.key:
            raise VerificationError(
                f"row {change.row} ({change.key}): the new Thing {made.get('uid')} has the title"
                f" {made.get('title')!r:.80}, which a model's template has set, so that the next run would"
                " create it again; match by uid, or leave the title out of the template"
            )
        self._check(change, made)

    # -- updates --------------------------------------------------------------------------------------

    def _update(self, changes: Sequence[Change]) -> None:
        batches = list(_cut(changes, self._batch_size))
        results = map_concurrently(self._patch, batches, self._concurrency)
        for batch, descriptions in zip(batches, results, strict=True):
            self._finish_updates(batch, descriptions)

    def _patch(self, batch: Sequence[Change]) -> list[Json | str]:
        """Update Things in one request; return the new description of each, or why it was rejected."""
        patches = [{"id": change.id, "patch": patch_of(change.body)} for change in batch]
        if self._has_bulk:
            try:
                return [_outcome(one) for one in self._hook.patch_results(patches, repeatable=True)]
            except Rejected as error:
                self._has_bulk = not write.is_without_patch(error)
                self._hook.log.info("%d Things are updated one by one: %s", len(batch), error)
        return [self._update_one(change) for change in batch]

    def _update_one(self, change: Change) -> Json | str:
        try:
            return run(write.update_thing(self._hook, change.id, change.body))
        except Rejected as error:
            return _reason(error)

    def _finish_updates(self, batch: Sequence[Change], results: Any) -> None:
        unseen: list[Change] = []
        for change, result in zip(batch, results, strict=True):
            if isinstance(result, str):
                self.failed.append((change, result))
                continue
            self.done["update"] += 1
            if result.get("uid") == change.id:
                self._check(change, result)
            else:
                unseen.append(change)
        if unseen and self._verify:
            self._read_back(unseen)

    def _read_back(self, changes: Sequence[Change]) -> None:
        """Check Things whose new descriptions were not in the reply."""
        found = self._list([change.id for change in changes])
        for change in changes:
            self._check(change, found.get(change.id, {}))

    def _list(self, ids: Sequence[str]) -> dict[str, Json]:
        """Return the Things of the ids that are there."""

        async def read(block: list[str]) -> list[Json]:
            return [thing async for thing in self._hook.alist_things(params={"thingID[]": block})]

        return {
            str(thing.get("uid")): thing for _, things in iterate(in_blocks(ids, read)) for thing in things
        }

    def _check(self, change: Change, thing: Json) -> None:
        if not self._verify:
            return
        for name, wanted in change.body.items():
            if not write.same_field(name, wanted, thing.get(name)):
                self._mismatches.append(
                    f"row {change.row} ({change.key or change.id}): {name} is {thing.get(name)!r:.80} instead"
                    f" of {wanted!r:.80}; a model's template may set it"
                )

    # -- deletions ------------------------------------------------------------------------------------

    def _delete(self, changes: Sequence[Change]) -> None:
        async def send(ids: list[str]) -> Any:
            return await self._hook.asend(
                api_admin.delete_things(self._hook.space, ids, None, None, repeatable=True)
            )

        for ids, reply in iterate(in_blocks([change.id for change in changes], send)):
            # A request that was repeated returns no ids.
            left = {*ids} - {*reply}
            if left and self._verify:
                left &= self._list(sorted(left)).keys()
                self._mismatches += [f"Thing {uid} is still there" for uid in sorted(left)]
                self.done["delete"] -= len(left)
            self.done["delete"] += len(ids)


def _template_key(change: Change) -> str:
    body = change.body
    return repr((body.get("model"), sorted(body.get("categories") or ())))


def _outcome(result: Json) -> Json | str:
    """Return the description in one result of a bulk update, or why the Thing was rejected."""
    response = result.get("response")
    try:
        status = int(result.get("status") or 500)
    except (TypeError, ValueError):
        return f"the reply has the status {result.get('status')!r:.80}"
    if status >= 400:
        return f"{status} {truncate(str(response), 300)}"
    return response if isinstance(response, dict) else {}


def _reason(error: RequestRejectedError | NotFoundError) -> str:
    return f"{error.status} {error.message}"


def _cut(changes: Sequence[Change], size: int) -> Iterator[Sequence[Change]]:
    for start in range(0, len(changes), size):
        yield changes[start : start + size]
