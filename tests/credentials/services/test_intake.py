import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.utils import timezone

from credentials import upstream
from credentials.models import Contributor, Credential, Import, ImportItem, ModelState, StateChange
from credentials.services import Event, intake, set_state, withdraw
from gateway.lib import jobs
from gateway.lib.audit import AuditEntry
from gateway.lib.errors import BodyTooLarge, Conflict, InvalidRequest
from tests.credentials.samples import (
    CLIENT_SECRET,
    REFRESH_TOKEN,
    adc,
    api_key,
    as_bytes,
    gcli2api,
    store_key,
    store_login,
    zipped,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nudges(monkeypatch):
    """Jobs wait in their rows; a test runs them itself."""
    monkeypatch.setattr(jobs, "_nudge", lambda job: None)


def keys(*numbers) -> bytes:
    return "\n".join(api_key(number) for number in numbers).encode()


def begin(data=None, **options):
    return intake.begin(files=[("keys.txt", data or keys(1, 2))], actor="sam", **options)


def run(batch):
    jobs.run(str(batch.job_id))
    batch.refresh_from_db()
    return jobs.Job.objects.get(pk=batch.job_id)


def test_a_preview_stores_nothing_and_tells_everything():
    store_key(1)
    batch = begin(keys(1, 2, 2) + b"\nsk-something-else-entirely\n")
    assert batch.counts == {"new": 1, "updated": 0, "duplicate": 2, "unusable": 1}
    assert Credential.objects.count() == 1
    assert [item.outcome for item in batch.items.all()] == [
        "duplicate",
        "new",
        "duplicate",
        "unusable",
    ]
    assert [bool(item.sealed) for item in batch.items.all()] == [False, True, False, False]


def test_an_account_in_a_files_name_is_masked_in_what_stays():
    files = [("dir/gemini-bobby@example.org-p-1.json", keys(1)), ("plain.txt", keys(2))]
    batch = intake.begin(files=files, actor="olga")
    assert batch.source == "ge…y@example.org-p-1.json, plain.txt"
    batch = intake.confirm(import_id=batch.pk, actor="olga")
    assert "bobby" not in batch.job.title


def test_what_waits_is_sealed():
    begin(as_bytes(gcli2api()))
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM credentials_importitem")
        said = repr(cursor.fetchall())
    assert REFRESH_TOKEN not in said
    assert CLIENT_SECRET not in said


def test_a_confirmed_import_is_stored_with_tags_and_for_its_contributor():
    bob = Contributor.objects.create(name="Bob")
    batch = begin(tags=["march", "bob"], contributor=bob)
    batch = intake.confirm(import_id=batch.pk, actor="sam")
    job = run(batch)
    assert (job.state, job.result) == (
        "done",
        {"new": 2, "updated": 0, "duplicate": 0, "unusable": 0},
    )
    assert (job.total, job.done, job.failed) == (2, 2, 0)
    rows = Credential.objects.all()
    assert {tuple(row.tags) for row in rows} == {("march", "bob")}
    assert {row.contributor for row in rows} == {bob}
    assert not any(item.sealed for item in batch.items.all())
    assert {item.credential for item in batch.items.all()} == set(rows)
    assert batch.state == Import.State.DONE
    assert AuditEntry.objects.get().action == "credentials.import"


def test_a_second_click_does_nothing_more():
    batch = begin()
    first = intake.confirm(import_id=batch.pk, actor="sam")
    second = intake.confirm(import_id=batch.pk, actor="eve")
    assert first.job_id == second.job_id
    assert jobs.Job.objects.count() == 1


def test_a_worker_killed_between_chunks_loses_nothing_and_doubles_nothing(monkeypatch):
    monkeypatch.setattr(intake, "_CHUNK", 3)
    batch = intake.confirm(import_id=begin(keys(*range(10))).pk, actor="sam")
    original, chunks = intake._store_chunk, []

    class Killed(BaseException):
        pass

    def dies_after_two(*args):
        if len(chunks) == 2:
            raise Killed
        chunks.append(1)
        return original(*args)

    monkeypatch.setattr(intake, "_store_chunk", dies_after_two)
    with pytest.raises(Killed):
        jobs.run(str(batch.job_id))
    assert Credential.objects.count() == 6
    monkeypatch.setattr(intake, "_store_chunk", original)
    jobs.Job.objects.update(lease_until=timezone.now() - timezone.timedelta(seconds=1))
    job = run(batch)
    assert (job.state, job.done, job.total, job.attempts) == ("done", 10, 10, 2)
    assert Credential.objects.count() == 10
    assert batch.counts["new"] == 10
    # Once more, as a message that came twice would: nothing.
    jobs.run(str(batch.job_id))
    assert Credential.objects.count() == 10


def test_a_cancelled_preview_keeps_nothing_and_cannot_be_confirmed():
    batch = begin()
    batch = intake.cancel(import_id=batch.pk, actor="stella")
    assert batch.state == Import.State.CANCELLED
    assert not any(item.sealed for item in batch.items.all())
    with pytest.raises(Conflict):
        intake.confirm(import_id=batch.pk, actor="sam")
    assert not Credential.objects.exists()


def test_a_running_import_stops_between_chunks_and_forgets_the_rest(monkeypatch):
    monkeypatch.setattr(intake, "_CHUNK", 2)
    monkeypatch.setattr(jobs, "_TELL_S", 0.0)
    batch = intake.confirm(import_id=begin(keys(*range(6))).pk, actor="sam")
    original = intake._store_chunk

    def asked_to_stop(*args):
        stored = original(*args)
        intake.cancel(import_id=batch.pk, actor="stella")
        return stored

    monkeypatch.setattr(intake, "_store_chunk", asked_to_stop)
    job = run(batch)
    assert (job.state, batch.state) == ("cancelled", "cancelled")
    assert Credential.objects.count() == 2
    assert not any(item.sealed for item in batch.items.all())
    assert batch.counts == {"new": 2, "updated": 0, "duplicate": 0, "unusable": 4}


def test_an_import_cancelled_before_a_worker_took_it_forgets_everything():
    batch = intake.confirm(import_id=begin().pk, actor="sam")
    batch = intake.cancel(import_id=batch.pk, actor="stella")
    assert batch.state == Import.State.CANCELLED
    assert not any(item.sealed for item in batch.items.all())


def test_what_nobody_confirmed_is_deleted_after_an_hour():
    old, young = begin(), begin()
    Import.objects.filter(pk=old.pk).update(
        created_at=timezone.now() - intake.UNCONFIRMED_FOR - timezone.timedelta(seconds=1)
    )
    assert intake.delete_stale_imports() == 1
    assert set(Import.objects.values_list("pk", flat=True)) == {young.pk}
    assert set(ImportItem.objects.values_list("batch", flat=True)) == {young.pk}


def test_what_a_failed_job_left_behind_is_given_up():
    batch = intake.confirm(import_id=begin().pk, actor="sam")
    jobs.Job.objects.update(state="failed")
    assert intake.delete_stale_imports() == 1
    batch.refresh_from_db()
    assert batch.state == Import.State.CANCELLED
    assert not any(item.sealed for item in batch.items.all())


def test_without_the_key_nothing_is_given_up_and_it_can_be_confirmed_again(settings):
    batch = intake.confirm(import_id=begin().pk, actor="sam")
    right = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    job = run(batch)
    assert job.state == "failed"
    assert "ENCRYPTION_KEYS" in job.error
    assert batch.state == Import.State.PREVIEW
    assert not Credential.objects.exists()
    settings.ENCRYPTION_KEYS = right
    batch = intake.confirm(import_id=batch.pk, actor="sam")
    assert run(batch).state == "done"
    assert Credential.objects.count() == 2


def test_a_login_sealed_with_a_lost_key_is_not_overwritten_by_an_import(settings):
    known = store_login(email="alice@example.org", project="made-up-project")
    before = Credential.objects.get(pk=known.pk).secret.token
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    other = gcli2api(refresh_token="1//another", user_email="alice@example.org")
    batch = begin(as_bytes(other))
    (item,) = batch.items.all()
    assert item.outcome == "unusable"
    assert "ENCRYPTION_KEYS" in item.reason
    batch = intake.confirm(import_id=batch.pk, actor="sam")
    run(batch)
    assert Credential.objects.get(pk=known.pk).secret.token == before


def test_what_its_contributor_took_back_is_not_brought_back_by_an_import():
    bob = Contributor.objects.create(name="Bob")
    lent = store_key(1, contributor_id=bob.pk)
    set_state(credential_id=lent.pk, event=Event.WITHDRAWN)
    (item,) = begin(keys(1)).items.all()
    assert (item.outcome, "took it back" in item.reason) == ("unusable", True)
    (item,) = begin(keys(1), contributor=bob).items.all()
    assert item.outcome == "updated"


def test_what_an_operator_withdrew_can_be_imported_again_under_its_own_name():
    mine = store_key(1, label="mine")
    name = Credential.objects.get().name
    set_state(credential_id=mine.pk, event=Event.WITHDRAWN)
    batch = intake.confirm(import_id=begin(keys(1)).pk, actor="sam")
    run(batch)
    row = Credential.objects.get()
    assert (row.pk, row.state, row.name) == (mine.pk, "active", name)
    assert (row.withdrawn_at, row.secret_destroyed_at) == (None, None)


def test_names_and_states_come_along():
    rests = {"gemini-2.5-pro": timezone.now().timestamp() + 3600, "gemini-2.5-flash": 1.0}
    document = {
        "filename": "good.json",
        "credential_data": gcli2api(),
        "disabled": False,
        "model_cooldowns": rests,
        "preview": False,
        "tier": "free",
        "user_email": "alice@example.org",
    }
    off = document | {
        "filename": "off.json",
        "credential_data": gcli2api(refresh_token="1//off", project_id="other-project"),
        "disabled": True,
        "user_email": None,
    }
    batch = begin(as_bytes([document, off]))
    batch = intake.confirm(import_id=batch.pk, actor="sam")
    assert run(batch).state == "done"
    good, disabled = Credential.objects.order_by("pk")
    assert (good.name, good.state, good.tier, good.preview, good.email) == (
        "good.json",
        "active",
        "free",
        False,
        "alice@example.org",
    )
    (state,) = ModelState.objects.filter(credential=good)
    assert (state.model, state.state, state.reason) == ("gemini-2.5-pro", "exhausted", "imported")
    assert (disabled.name, disabled.state, disabled.state_reason) == (
        "off.json",
        "disabled",
        "imported",
    )
    change = StateChange.objects.get(credential=disabled, model="")
    assert (change.event, change.by) == ("disabled", "sam")
    # It comes in again, enabled there: what an operator decided here stays.
    set_state(credential_id=good.pk, event=Event.DISABLED)
    again = begin(as_bytes([document, off | {"disabled": False}]))
    assert again.counts["duplicate"] == 2
    good.refresh_from_db()
    assert good.state == "disabled"


def test_names_that_are_taken_get_something_of_their_own():
    batch = intake.begin(
        files=[
            ("one/a.json", as_bytes(gcli2api())),
            ("two/a.json", as_bytes(adc(refresh_token="1//two", account=""))),
            ("b.zip", zipped({"a.json": as_bytes(adc(refresh_token="1//b", account=""))})),
        ],
        actor="sam",
    )
    batch = intake.confirm(import_id=batch.pk, actor="sam")
    run(batch)
    names = list(Credential.objects.order_by("pk").values_list("name", flat=True))
    assert names[0] == "a.json"
    assert len(set(names)) == 3
    assert all(name.startswith("a-") and name.endswith(".json") for name in names[1:])


def test_what_came_in_is_tried_when_asked_for(monkeypatch):
    tried = []

    class Google:
        def check(self, credential_ids):
            tried.extend(credential_ids)
            return [
                upstream.Finding(pk, "", "works", usable=number % 2 == 0)
                for number, pk in enumerate(credential_ids)
            ]

    monkeypatch.setattr(upstream, "current", Google)
    batch = intake.confirm(import_id=begin(keys(1, 2, 3)).pk, actor="sam", test=True)
    job = run(batch)
    assert tried == list(Credential.objects.order_by("pk").values_list("pk", flat=True))
    assert (job.total, job.done, job.failed) == (6, 6, 1)
    assert (job.result["tested"], job.result["usable"]) == (3, 2)


def test_too_much_at_once_is_refused_in_words(settings, monkeypatch):
    settings.UPLOAD_MAX_BYTES = 1024 * 1024
    with pytest.raises(BodyTooLarge, match="1 MiB"):
        begin(b"x" * (1024 * 1024 + 1))
    monkeypatch.setattr(intake, "MAX_ITEMS", 3)
    with pytest.raises(InvalidRequest, match="several parts"):
        begin(keys(*range(4)))
    assert not Import.objects.exists()


def test_five_thousand_keys_with_a_hundred_duplicates(django_assert_max_num_queries):
    data = keys(*range(4900), *range(100))
    with django_assert_max_num_queries(120):
        batch = begin(data)
    assert batch.counts == {"new": 4900, "updated": 0, "duplicate": 100, "unusable": 0}
    assert batch.items.count() == 5000


def test_an_import_while_the_login_is_refreshed_keeps_the_younger_token():
    """The refresh is done between the preview and the storing of the same file."""
    login = store_login()
    file = gcli2api(token="ya29.from-the-file", project_id="made-up-project")
    batch = intake.confirm(import_id=begin(as_bytes(file)).pk, actor="sam")
    secret = Credential.objects.get(pk=login.pk).secret.open()
    Credential.objects.filter(pk=login.pk).update(secret=dict(secret) | {"access_token": "younger"})
    run(batch)
    row = Credential.objects.get()
    assert row.secret.open()["access_token"] == "younger"
    assert row.project_id == "made-up-project"


def test_tags_are_words_with_commas():
    assert intake.tags_of(" a, b ,,a ") == ["a", "b"]
    with pytest.raises(InvalidRequest):
        intake.tags_of("x" * 51)


def test_what_was_taken_back_since_the_preview_does_not_spoil_the_others():
    """Withdrawing destroys what waits for the credential: nothing is left to store."""
    known = store_login(project="p-one", email="ada@example.org")
    news = gcli2api(refresh_token="1//news", project_id="p-one", user_email="ada@example.org")
    batch = intake.begin(files=[("a.json", as_bytes(news)), ("keys.txt", keys(7))], actor="sam")
    assert batch.counts == {"new": 1, "updated": 1, "duplicate": 0, "unusable": 0}
    withdraw(credential_id=known.pk)
    batch = intake.confirm(import_id=batch.pk, actor="sam")
    job = run(batch)
    assert job.state == "done"
    assert batch.counts == {"new": 1, "updated": 0, "duplicate": 0, "unusable": 1}
    assert batch.items.get(outcome="unusable").reason == "its contributor took it back meanwhile"
    known.refresh_from_db()
    assert (known.state, known.secret.open()) == ("withdrawn", {})


def test_cancelling_is_written_down():
    intake.cancel(import_id=begin().pk, actor="sam", address="10.0.0.9")
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.address, entry.action) == (
        "sam",
        "10.0.0.9",
        "credentials.cancel_import",
    )


def test_tags_are_those_that_can_be_edited_later():
    with pytest.raises(InvalidRequest, match="is no tag"):
        intake.tags_of("eu, <b>")
