import pytest

from credentials import services, upstream
from credentials.models import Contributor, Credential, StateChange
from credentials.services import Event, bulk
from credentials.upstream import Finding
from gateway.lib import jobs, spans
from gateway.lib.errors import UpstreamUnreachable
from gateway.lib.jobs import Job
from tests.credentials.samples import oauth_secret, store_key, store_login

pytestmark = pytest.mark.django_db


def run(action, rows, **params):
    ids = [row.pk for row in rows]
    job = bulk.begin(action=action, credential_ids=ids, params=params, by="stella")
    jobs.run(str(job.pk))
    job.refresh_from_db()
    return job


@pytest.fixture
def keys():
    return [store_key(number) for number in range(1, 6)]


def states():
    return list(Credential.objects.order_by("pk").values_list("state", flat=True))


def test_many_are_disabled_and_the_job_tells(keys):
    services.withdraw(credential_id=keys[0].pk)
    job = run("disable", keys)
    assert states() == ["withdrawn"] + ["disabled"] * 4
    assert (job.state, job.total, job.done, job.failed) == ("done", 5, 5, 1)
    assert job.result["outcomes"] == {"done": 4, "taken back meanwhile": 1}
    assert job.title == "Disable: 5 credentials"
    assert set(StateChange.objects.filter(event="disabled").values_list("by", flat=True)) == {
        "stella"
    }


def test_twice_is_as_good_as_once(keys):
    run("disable", keys)
    history = StateChange.objects.count()
    run("disable", keys)
    assert StateChange.objects.count() == history
    run("enable", keys)
    assert states() == ["active"] * 5


def test_every_process_hears_of_it(keys):
    for action, params in (
        ("disable", {}),
        ("enable", {}),
        ("pause", {}),
        ("resume", {}),
        ("add_tag", {"tag": "eu"}),
        ("remove_tag", {"tag": "eu"}),
        ("set_weight", {"weight": 3}),
        ("set_caps", {"calls_a_day": 7}),
    ):
        before = max(Credential.objects.values_list("revision", flat=True))
        run(action, keys, **params)
        assert min(Credential.objects.values_list("revision", flat=True)) > before, action


def test_pausing_leaves_health_alone(keys):
    services.set_state(credential_id=keys[0].pk, event=Event.DISABLED)
    run("pause", keys)
    assert Credential.objects.exclude(paused_at=None).count() == 5
    run("resume", keys)
    assert Credential.objects.exclude(paused_at=None).count() == 0
    assert states() == ["disabled"] + ["active"] * 4
    assert StateChange.objects.filter(event="resumed", by="stella").count() == 5


def test_tags_weight_and_caps(keys):
    services.edit(credential_id=keys[0].pk, changes={"tags": ["old", "eu"]}, by="x")
    run("add_tag", keys, tag="eu")
    run("set_weight", keys, weight=4)
    run("set_caps", keys, calls_a_day=9, allowed_models=["*flash*"])
    first, second, *_ = Credential.objects.order_by("pk")
    assert (first.tags, second.tags) == (["old", "eu"], ["eu"])
    assert (second.weight, second.calls_a_day, second.allowed_models) == (4, 9, ["*flash*"])
    run("remove_tag", keys, tag="eu")
    first.refresh_from_db()
    assert first.tags == ["old"]


def test_caps_in_bulk_are_no_wider_than_contributors_allow(keys):
    lender = Contributor.objects.create()
    allowed = [{"calls_a_day": 100}, {"calls_a_day": 10}, {"allowed_models": ["*pro*"]}]
    for row, limits in zip(keys, allowed, strict=False):
        Credential.objects.filter(pk=row.pk).update(contributor=lender)
        services.set_limits(credential_id=row.pk, limits=limits)
    job = run("set_caps", keys, calls_a_day=50, allowed_models=["*flash*"])
    calls = list(Credential.objects.order_by("pk").values_list("calls_a_day", flat=True))
    assert calls == [50, 10, None, 50, 50]
    assert (job.done, job.failed) == (5, 2)
    why = "its contributor allows less ({}): only they can allow more"
    assert job.result["outcomes"] == {
        "done": 3,
        why.format("calls a day"): 1,
        why.format("models"): 1,
    }
    refused = Credential.objects.filter(pk__in=[keys[1].pk, keys[2].pk])
    assert not StateChange.objects.filter(credential__in=refused, by="stella").exists()


def test_withdrawing_destroys_each_secret(keys):
    run("withdraw", keys, revoke=False)
    assert states() == ["withdrawn"] * 5
    assert not any(row.secret for row in Credential.objects.all())


def test_of_each_account_the_best_row_stays():
    rows = [
        store_login(
            oauth_secret(refresh_token=f"1//made-up-{number:0>20}"),
            email=email,
            project=f"p-{number}",
        )
        for number, email in enumerate(["a@x.org", "a@x.org", "b@x.org", "a@x.org", ""])
    ]
    services.set_state(credential_id=rows[3].pk, event=Event.DISABLED)
    job = run("deduplicate", rows)
    assert states() == ["disabled", "active", "active", "disabled", "active"]
    assert job.total == 2
    assert Credential.objects.get(pk=rows[0].pk).state_reason == "duplicate"


class Upstream:
    def __init__(self):
        self.checked = []

    def check(self, ids):
        self.checked += ids
        works = {True: "works", False: "needs licence"}
        return [Finding(pk, "", works[pk % 2 == 0], pk % 2 == 0) for pk in ids]

    def enable_preview(self, pk):
        raise UpstreamUnreachable("Google cannot be reached.")


@pytest.fixture
def google(monkeypatch):
    stand_in = Upstream()
    monkeypatch.setattr(upstream, "_upstream", stand_in)
    return stand_in


def test_a_test_counts_verdicts(keys, google):
    job = run("test", keys)
    odd = sum(row.pk % 2 for row in keys)
    assert job.result["outcomes"] == {"done": 5 - odd, "needs licence": odd}
    assert job.failed == odd


def test_one_that_fails_does_not_stop_the_others(google, keys):
    rows = [store_login(), *keys[:2]]
    job = run("enable_preview", rows)
    assert job.state == "done"
    assert job.result["outcomes"] == {
        "Google cannot be reached.": 1,
        "only Google accounts have this": 2,
    }


def test_it_goes_on_behind_the_last_chunk(keys, google, monkeypatch):
    monkeypatch.setitem(bulk.ACTIONS, "test", bulk.Action("Test", bulk.ACTIONS["test"].perform, 2))
    ids = [row.pk for row in keys]
    job = bulk.begin(action="test", credential_ids=ids, params={}, by="stella")
    Job.objects.filter(pk=job.pk).update(
        result={"_reached": ids[1], "outcomes": {"done": 1, "revoked": 1}}
    )
    jobs.run(str(job.pk))
    job.refresh_from_db()
    assert google.checked == ids[2:]
    assert (job.done, job.total) == (5, 5)
    assert sum(job.result["outcomes"].values()) == 5


def test_it_can_be_cancelled_between_chunks(keys, google, monkeypatch):
    monkeypatch.setattr(jobs, "_TELL_S", 0)

    class Impatient(Upstream):
        def check(self, ids):
            Job.objects.update(cancel_requested=True)
            return super().check(ids)

    stand_in = Impatient()
    monkeypatch.setattr(upstream, "_upstream", stand_in)
    monkeypatch.setitem(bulk.ACTIONS, "test", bulk.Action("Test", bulk.ACTIONS["test"].perform, 2))
    job = run("test", keys)
    assert job.state == "cancelled"
    assert len(stand_in.checked) == 2


def test_ten_thousand_ids_fit_into_a_row(keys):
    ids = [*range(1, 9000), *range(9500, 10500)]
    assert spans.written(ids) == "1-8999,9500-10499"
    assert spans.read(spans.written(ids)) == ids
    assert spans.read(spans.written([3])) == [3]
    assert spans.read("") == []


@pytest.mark.parametrize("action", ["disable", "pause", "add_tag", "set_weight"])
def test_what_the_database_can_do_at_once_it_does_at_once(action, django_assert_max_num_queries):
    rows = [store_key(number) for number in range(1, 101)]
    with django_assert_max_num_queries(35):
        run(action, rows, tag="eu", weight=2)
