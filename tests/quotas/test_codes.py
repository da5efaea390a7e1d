from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import ApiKey
from accounts.services import issue_key
from gateway.lib.errors import Conflict, InvalidRequest, RateLimited
from quotas import selectors, services
from quotas.models import Balance, Code, Entry, Lot, Redemption
from quotas.services.codes import digest_of, normalized

pytestmark = pytest.mark.django_db(transaction=True)
CREDIT = 1_000_000


@pytest.fixture
def balance():
    return services.open_balance(total_micros=0, label="a key")


def total(balance):
    return Balance.objects.get(pk=balance.pk).total_micros


def redeem(code, balance, **more):
    return services.redeem(code=code, balance=balance, **{"address": "192.0.2.1", **more})


def change(campaign, **values):
    return services.save_campaign(campaign=campaign, values=values)


def test_a_code_gives_what_its_campaign_says_and_the_ledger_tells(campaign, balance):
    [code] = services.make_codes(campaign=campaign, count=1)
    redeemed = redeem(code, balance)
    assert (redeemed.campaign, redeemed.amount_micros, redeemed.expires_at) == (
        "Spring",
        2 * CREDIT,
        None,
    )
    entry = Entry.objects.get(kind=Entry.Kind.REDEEM)
    assert (entry.amount_micros, entry.reason) == (2 * CREDIT, f"code {code[:4]}… of Spring")
    one = Redemption.objects.get()
    assert (one.entry, one.address) == (entry, "192.0.2.1")
    assert selectors.prove()[1] == []


def test_only_the_digest_is_kept(campaign):
    codes = services.make_codes(campaign=campaign, count=100)
    assert len(set(codes)) == 100
    row = Code.objects.get(digest=digest_of(codes[0]))
    assert row.hint == codes[0][:4]
    assert codes[0] not in str(vars(row))


def test_ten_thousand_are_made_at_once_and_no_more(campaign):
    assert len(services.make_codes(campaign=campaign, count=10_000)) == 10_000
    assert Code.objects.count() == 10_000
    for count in (0, -1, 10_001):
        with pytest.raises(InvalidRequest):
            services.make_codes(campaign=campaign, count=count)


@pytest.mark.parametrize(
    "typed", ["WELCOME2026", "welcome 2026", " Welcome-2026\n", "ＷＥＬＣＯＭＥ２０２６"]
)
def test_a_word_is_known_however_it_is_typed(campaign, balance, typed):
    services.make_words(campaign=campaign, words=["Welcome-2026"], max_uses=5)
    redeem(typed, balance)
    assert total(balance) == 2 * CREDIT


@pytest.mark.parametrize("word", ["", "abc", "x" * 41, "ÄÖÜÄÖÜ", "a'b;c--d!", "\0\0\0\0\0"])
def test_what_is_no_word_is_refused(campaign, word):
    with pytest.raises(InvalidRequest):
        services.make_words(campaign=campaign, words=[word])


def test_a_word_there_is_already_is_refused_and_nothing_is_made(campaign):
    services.make_words(campaign=campaign, words=["FIRST"])
    with pytest.raises(Conflict):
        services.make_words(campaign=campaign, words=["SECOND", "first"])
    with pytest.raises(InvalidRequest, match="twice"):
        services.make_words(campaign=campaign, words=["SECOND", "se-cond"])
    assert Code.objects.count() == 1


def test_a_code_is_used_as_often_as_it_is_good_for(campaign):
    change(campaign, once_each=False)
    [code] = services.make_codes(campaign=campaign, count=1, max_uses=2)
    mine = services.open_balance()
    redeem(code, mine)
    redeem(code, mine)
    with pytest.raises(Conflict, match="used up"):
        redeem(code, mine)
    assert total(mine) == 4 * CREDIT


class TestOnceEach:
    def test_a_balance_takes_part_once_with_however_many_codes(self, campaign, balance):
        first, second = services.make_codes(campaign=campaign, count=2)
        redeem(first, balance)
        with pytest.raises(Conflict, match="took part"):
            redeem(second, balance)
        assert total(balance) == 2 * CREDIT
        # The refusal used nothing of the code.
        redeem(second, services.open_balance())

    def test_so_does_a_person_through_whichever_key_or_the_wallet(self, campaign, bob):
        codes = services.make_codes(campaign=campaign, count=3)
        keys = [issue_key(quota_micros=CREDIT, owner=bob)[0] for _ in range(2)]
        redeem(codes[0], keys[0].balance)
        for balance in (keys[1].balance, bob.balance):
            with pytest.raises(Conflict, match="took part"):
                redeem(codes[1], balance)

    def test_keys_without_an_owner_are_nobodys(self, campaign):
        codes = services.make_codes(campaign=campaign, count=2)
        for code in codes:
            redeem(code, issue_key(quota_micros=CREDIT)[0].balance)
        assert ApiKey.objects.filter(balance__total_micros=3 * CREDIT).count() == 2


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("switched off", {"is_active": False}),
        ("not begun", {"starts_at": timezone.now() + timedelta(days=1)}),
        ("is over", {"ends_at": timezone.now() - timedelta(days=1)}),
    ],
)
def test_a_campaign_that_does_not_run_gives_nothing(campaign, balance, words, values):
    [code] = services.make_codes(campaign=campaign, count=1)
    change(campaign, **values)
    with pytest.raises(Conflict, match=words):
        redeem(code, balance)
    assert total(balance) == 0
    assert Code.objects.get().uses == 0


def test_a_code_that_was_withdrawn_or_has_expired_gives_nothing(campaign, balance):
    soon = timezone.now() + timedelta(seconds=60)
    [code] = services.make_codes(campaign=campaign, count=1, expires_at=soon)
    Code.objects.update(expires_at=timezone.now())
    with pytest.raises(Conflict, match="expired"):
        redeem(code, balance)
    [code] = services.make_codes(campaign=campaign, count=1)
    assert services.revoke_codes(codes=Code.objects.all()) == 2
    with pytest.raises(Conflict, match="withdrawn"):
        redeem(code, balance)
    assert total(balance) == 0


def test_where_nothing_is_limited_a_code_is_kept(campaign):
    [code] = services.make_codes(campaign=campaign, count=1)
    with pytest.raises(Conflict, match="no limit"):
        redeem(code, services.open_balance(open_ended=True))
    assert Code.objects.get().uses == 0


def test_a_full_balance_takes_no_more(campaign):
    [code] = services.make_codes(campaign=campaign, count=1)
    with pytest.raises(Conflict, match="as many credits"):
        redeem(code, services.open_balance(total_micros=10**18))
    assert Code.objects.get().uses == 0


def test_credits_that_expire_become_a_lot(campaign, balance):
    change(campaign, credit_days=30)
    [code] = services.make_codes(campaign=campaign, count=1)
    redeemed = redeem(code, balance)
    lot = Lot.objects.get()
    assert lot.expires_at == redeemed.expires_at
    assert timedelta(days=29) < lot.expires_at - timezone.now() <= timedelta(days=30)
    [told] = selectors.expiring(Balance.objects.get(pk=balance.pk))
    assert told.micros == 2 * CREDIT


def test_who_took_part_while_each_might_often_does_not_once_each_may_only_once(
    campaign, balance, bob
):
    change(campaign, once_each=False)
    key, _ = issue_key(quota_micros=0, owner=bob)
    codes = services.make_codes(campaign=campaign, count=6)
    for code, into in zip(codes, (balance, bob.balance, bob.balance), strict=False):
        redeem(code, into)
    change(campaign, once_each=True)
    for code, into in zip(codes[3:], (balance, bob.balance, key.balance), strict=True):
        with pytest.raises(Conflict, match="took part"):
            redeem(code, into)
    redeem(codes[3], services.open_balance())
    assert selectors.prove()[1] == []


class TestGuessing:
    def test_an_address_may_guess_so_often_an_hour(self, campaign, balance, settings):
        settings.WRONG_CODES_PER_HOUR = 3
        [code] = services.make_codes(campaign=campaign, count=1)
        for _ in range(3):
            with pytest.raises(InvalidRequest):
                redeem("no such code", balance)
        with pytest.raises(RateLimited) as refused:
            redeem(code, balance)
        assert refused.value.retry_after_s == 3600
        redeem(code, balance, address="192.0.2.2")

    def test_a_wrong_code_costs_one_look_like_a_right_one_that_is_used_up(
        self, campaign, balance, django_assert_num_queries
    ):
        with django_assert_num_queries(1), pytest.raises(InvalidRequest):
            redeem("x" * 100, balance)

    def test_while_redis_is_away_codes_are_redeemed_and_nothing_is_counted(
        self, campaign, balance, settings
    ):
        address = "redis://127.0.0.1:1/0"
        cache = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": address}
        settings.CACHES = {"default": cache}
        [code] = services.make_codes(campaign=campaign, count=1)
        with pytest.raises(InvalidRequest):
            redeem("no such code", balance)
        assert redeem(code, balance).amount_micros == 2 * CREDIT

    @pytest.mark.parametrize("code", ["", "\0", "\ud800", "名" * 1000, "' OR 1=1 --"])
    def test_any_text_may_be_tried(self, campaign, balance, code):
        with pytest.raises(InvalidRequest, match="no such code"):
            redeem(code, balance)


def test_two_hundred_at_once_use_a_code_as_often_as_it_is_good_for(campaign):
    change(campaign, once_each=False)
    services.make_words(campaign=campaign, words=["RUSH2026"], max_uses=10)
    balances = [services.open_balance() for _ in range(20)]
    came, failures = [], []

    def try_ten_times(balance):
        try:
            for _ in range(10):
                try:
                    redeem("RUSH2026", balance)
                    came.append("taken")
                except Conflict:
                    came.append("refused")
        except Exception as exc:  # noqa: BLE001 - looked at below
            failures.append(exc)
        finally:
            connection.close()

    threads = [threading.Thread(target=try_ten_times, args=(one,)) for one in balances]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert (came.count("taken"), came.count("refused")) == (10, 190)
    assert Code.objects.get().uses == Redemption.objects.count() == 10
    assert sum(total(one) for one in balances) == 20 * CREDIT
    assert selectors.prove()[1] == []


def test_one_person_at_once_through_many_keys_takes_part_once(campaign, bob):
    codes = services.make_codes(campaign=campaign, count=8)
    balances = [issue_key(quota_micros=CREDIT, owner=bob)[0].balance for _ in codes]
    came = []

    def take(code, balance):
        try:
            redeem(code, balance)
            came.append("taken")
        except Conflict:
            came.append("refused")
        finally:
            connection.close()

    threads = [
        threading.Thread(target=take, args=pair) for pair in zip(codes, balances, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (came.count("taken"), came.count("refused")) == (1, 7)
    assert Code.objects.filter(uses=1).count() == 1


def test_how_a_code_is_read():
    assert normalized(" 7kq2m-xh4pd ") == "7KQ2MXH4PD"


class TestCampaigns:
    def test_a_name_is_there_once(self, campaign):
        with pytest.raises(Conflict):
            change(None, name="Spring", amount_micros=1)

    @pytest.mark.parametrize("amount", [0, -1, 10**18 + 1])
    def test_it_gives_something(self, campaign, amount):
        with pytest.raises(InvalidRequest):
            change(campaign, amount_micros=amount)

    def test_it_ends_after_it_begins(self, campaign):
        now = timezone.now()
        with pytest.raises(InvalidRequest):
            change(campaign, starts_at=now, ends_at=now)
