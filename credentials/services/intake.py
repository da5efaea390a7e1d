"""Files and pastes come in by two steps: a preview that stores nothing, and a job that stores what was confirmed.

What waits in between rests sealed, and goes when it is stored or given up. The job works in chunks, each one transaction, so
whoever comes after a killed worker finds done what was done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from credentials import tags, upstream
from credentials.identity import masked_email
from credentials.importers import Found, Item, Unusable, parse_all
from credentials.importers.found import shown_name
from credentials.models import Contributor, Import, ImportItem
from credentials.services.storing import ImportResult, Outcome, import_items
from gateway.lib import audit, jobs
from gateway.lib.crypto import SecretUnreadable
from gateway.lib.errors import BodyTooLarge, Conflict, InvalidRequest, Unavailable

JOB = "credentials.import"
UNCONFIRMED_FOR = timedelta(hours=1)
MAX_ITEMS = 50_000
_CHUNK = 100
_TESTED_AT_ONCE = 5
_ROWS = 500
_PENDING = (Outcome.NEW, Outcome.UPDATED)
_TAKEN_BACK = "its contributor took it back meanwhile"
_CANCELLED = "cancelled before it was stored"

Files = Sequence[tuple[str, bytes]]


def check_size(size: int) -> None:
    """Raises BodyTooLarge."""
    limit = settings.UPLOAD_MAX_BYTES
    if size > limit:
        raise BodyTooLarge(
            f"An upload may have {limit // 1024**2} MiB, this has more: send it in several parts, or import it on the "
            "server with manage.py import_credentials. Operators may raise UPLOAD_MAX_BYTES."
        )


def tags_of(text: str) -> list[str]:
    """From words with commas. Raises InvalidRequest."""
    try:
        return tags.split(text.split(","))
    except ValueError as exc:
        raise InvalidRequest(str(exc), param="tags") from None


def begin(
    *,
    files: Files,
    actor: str,
    contributor: Contributor | None = None,
    tags: Sequence[str] = (),
    password: str = "",
) -> Import:
    """A preview of what is in the files. Raises BodyTooLarge and InvalidRequest."""
    check_size(sum(len(data) for _, data in files))
    if not files:
        raise InvalidRequest("There is nothing in it: choose files, or paste something.")
    items = parse_all(files, password)
    if len(items) > MAX_ITEMS:
        raise InvalidRequest(
            f"There is more in it than the {MAX_ITEMS:,} credentials that may come at once: send it in several parts."
        )
    results = import_items(
        items=items, contributor_id=contributor.pk if contributor else None, dry_run=True
    )
    with transaction.atomic():
        batch = Import.objects.create(
            source=_shortened(files),
            counts=_counts(Counter(result.outcome.value for result in results)),
            contributor=contributor,
            tags=list(tags),
            actor=actor[:150],
        )
        rows = [
            _row(batch, position, item, result)
            for position, (item, result) in enumerate(zip(items, results, strict=True))
        ]
        ImportItem.objects.bulk_create(rows, batch_size=_ROWS)
    return batch


def _row(batch: Import, position: int, item: Found | Unusable, result: ImportResult) -> ImportItem:
    waits = isinstance(item, Found) and result.outcome in _PENDING
    return ImportItem(
        batch=batch,
        position=position,
        source=result.source[-255:],
        outcome=result.outcome.value,
        provider=result.provider,
        label=result.label[:200],
        reason=result.reason[:300],
        credential_id=result.credential_id or None,
        sealed=msgspec.to_builtins(item) if waits else {},
    )


@transaction.atomic
def confirm(*, import_id: UUID, actor: str, address: str = "", test: bool = False) -> Import:
    """Stores it by a job. Once: a second click changes nothing. `test`: try afterwards what came in. Raises Conflict and
    Import.DoesNotExist."""
    confirmed = Import.objects.filter(pk=import_id, state=Import.State.PREVIEW).update(
        state=Import.State.RUNNING
    )
    batch = Import.objects.get(pk=import_id)
    if not confirmed:
        if batch.state == Import.State.CANCELLED:
            raise Conflict(
                "This import was cancelled, and what was uploaded is gone: upload again."
            )
        return batch
    batch.job = jobs.enqueue(
        JOB,
        title=f"Import {batch.source}"[:200],
        params={"import": str(batch.pk), "test": test, "by": actor},
        actor=actor,
        total=batch.items.filter(outcome__in=_PENDING).count(),
    )
    batch.save(update_fields=["job"])
    audit.record(
        actor=actor,
        address=address,
        action="credentials.import",
        subject=f"import {batch.pk}",
        **batch.counts,
    )
    return batch


@transaction.atomic
def cancel(*, import_id: UUID, actor: str, address: str = "") -> Import:
    """What is stored stays stored; what is not goes. Raises Import.DoesNotExist."""
    batch = Import.objects.select_for_update().get(pk=import_id)
    if batch.state in (Import.State.RUNNING, Import.State.PREVIEW):
        audit.record(
            actor=actor,
            address=address,
            action="credentials.cancel_import",
            subject=f"import {batch.pk}",
        )
    if batch.state == Import.State.RUNNING and batch.job:
        batch.job = jobs.cancel(batch.job)
        if batch.job.state == jobs.Job.State.CANCELLED:
            _give_up(batch)
    elif batch.state == Import.State.PREVIEW:
        _give_up(batch)
    return batch


def delete_stale_imports() -> int:
    """Upkeep: what nobody confirmed is deleted with all that waits in it, and what a job left behind is given up."""
    now = timezone.now()
    unconfirmed = Import.objects.filter(
        state=Import.State.PREVIEW, created_at__lt=now - UNCONFIRMED_FOR
    )
    stale = unconfirmed.count()
    unconfirmed.delete()
    over = Q(job__state__in=(jobs.Job.State.CANCELLED, jobs.Job.State.FAILED)) | Q(job=None)
    for batch in Import.objects.filter(over, state=Import.State.RUNNING):
        with transaction.atomic():
            _give_up(batch)
        stale += 1
    old = now - timedelta(days=settings.JOB_RETENTION_DAYS)
    Import.objects.filter(
        state__in=(Import.State.DONE, Import.State.CANCELLED), created_at__lt=old
    ).delete()
    return stale


def run_job(run: jobs.Run) -> None:
    batch = Import.objects.filter(pk=run.params["import"]).first()
    if batch is None or batch.state not in (Import.State.RUNNING, Import.State.DONE):
        return
    test = bool(run.params.get("test"))
    try:
        _store(run, batch, test=test)
        counts = _finish(batch)
        run.result(**counts)
        if test:
            _try(run, batch)
    except _KeyMissing:
        # Nothing is given up: with the key back it can be confirmed anew.
        Import.objects.filter(pk=batch.pk).update(state=Import.State.PREVIEW)
        raise
    except jobs.Cancelled:
        if batch.state == Import.State.RUNNING:
            with transaction.atomic():
                _give_up(batch)
        run.result(**batch.counts)
        raise


def _store(run: jobs.Run, batch: Import, *, test: bool) -> None:
    wanted = batch.items.filter(outcome__in=_PENDING).count()
    run.total(wanted * (2 if test else 1))
    waiting = batch.items.filter(stored_at=None, outcome__in=_PENDING).count()
    run.step(done=wanted - waiting)
    while stored := _store_chunk(batch, run.params.get("by", "")):
        run.step(done=len(stored), failed=sum(item.outcome == Outcome.UNUSABLE for item in stored))


@transaction.atomic
def _store_chunk(batch: Import, by: str) -> list[ImportItem]:
    """The next ones that wait; none are left when it gives none. Another worker on the same import waits here."""
    Import.objects.select_for_update().get(pk=batch.pk)
    waiting = list(
        batch.items.filter(stored_at=None, outcome__in=_PENDING).order_by("position")[:_CHUNK]
    )
    if not waiting:
        return []
    results = import_items(
        items=[_unsealed(item) for item in waiting],
        contributor_id=batch.contributor_id,
        tags=batch.tags,
        by=by or batch.actor,
    )
    now = timezone.now()
    for item, result in zip(waiting, results, strict=True):
        item.outcome, item.reason = result.outcome.value, result.reason[:300]
        item.label = (result.label or item.label)[:200]
        item.credential_id = result.credential_id or None
        item.sealed, item.stored_at = {}, now
    # One statement, in place of bulk_update, which was five times all the rest.
    ImportItem.objects.bulk_create(
        waiting,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["outcome", "reason", "label", "credential", "sealed", "stored_at"],
    )
    return waiting


def _unsealed(item: ImportItem) -> Item:
    """What it would have renewed may have been taken back since the preview, and what waited was destroyed with it."""
    if not item.sealed:
        return Unusable(item.source, _TAKEN_BACK)
    try:
        return msgspec.convert(dict(item.sealed.open()), Found)
    except SecretUnreadable as exc:
        raise _KeyMissing from exc


class _KeyMissing(Unavailable):
    def __init__(self) -> None:
        super().__init__(
            "What was uploaded is sealed with a key that is missing from ENCRYPTION_KEYS, and nothing was changed: give "
            "the key back and confirm again, or upload again."
        )


@transaction.atomic
def _finish(batch: Import) -> dict[str, int]:
    counts = batch.counts = _counts(_outcomes(batch))
    batch.state, batch.finished_at = Import.State.DONE, batch.finished_at or timezone.now()
    batch.save(update_fields=["counts", "state", "finished_at"])
    return counts


def _try(run: jobs.Run, batch: Import) -> None:
    ids = list(
        batch.items.exclude(stored_at=None)
        .exclude(credential=None)
        .order_by("position")
        .values_list("credential_id", flat=True)
    )
    works = 0
    for start in range(0, len(ids), _TESTED_AT_ONCE):
        some = ids[start : start + _TESTED_AT_ONCE]
        findings = upstream.current().check(some)
        usable = sum(finding.usable for finding in findings)
        works += usable
        run.step(done=len(some), failed=len(some) - usable)
    run.result(tested=len(ids), usable=works)


def _give_up(batch: Import) -> None:
    """Inside a transaction."""
    batch.items.filter(stored_at=None, outcome__in=_PENDING).update(
        sealed={}, outcome=Outcome.UNUSABLE.value, reason=_CANCELLED
    )
    batch.counts = _counts(_outcomes(batch))
    batch.state, batch.finished_at = Import.State.CANCELLED, timezone.now()
    batch.save(update_fields=["counts", "state", "finished_at"])


def _outcomes(batch: Import) -> dict[str, int]:
    rows = batch.items.values_list("outcome").annotate(count=Count("pk")).order_by()
    return dict(rows)


def _counts(outcomes: Mapping[str, int]) -> dict[str, int]:
    return {outcome.value: outcomes.get(outcome.value, 0) for outcome in Outcome}


def _shortened(files: Files) -> str:
    """An account's address in a name is masked: this stays when its owner takes the account back."""
    names = [shown_name(name).rpartition("/")[2] for name, _ in files[:3]]
    named = ", ".join(masked_email(name) if "@" in name else name for name in names)
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return f"{named[: 255 - len(more)]}{more}"
