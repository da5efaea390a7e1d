"""The upkeep of lent credentials; docs/architecture.md lists when each runs, gateway/settings/celery.py says so.

No task takes a secret: they look for themselves what is due.
"""

from __future__ import annotations

from celery import shared_task

from gateway.lib.jobs import Run
from gateway.lib.upkeep import upkeep


@shared_task
@upkeep("Fresh access tokens before the old ones expire")
def refresh_logins(run: Run) -> None:
    from credentials.services.upkeep import refresh_logins

    refresh_logins(run)


@shared_task
@upkeep("E-mail addresses of logins that came without")
def look_up_emails(run: Run) -> None:
    from credentials.services.upkeep import look_up_emails

    look_up_emails(run)


@shared_task
@upkeep("Cloud projects of logins that came without")
def discover_projects(run: Run) -> None:
    from credentials.services.upkeep import discover_projects

    discover_projects(run)


@shared_task
@upkeep("Tests of what is broken, new, or long unused")
def probe_credentials(run: Run) -> None:
    from credentials.services.probing import probe_due

    probe_due(run)


@shared_task
@upkeep("What is left of the quotas at Google")
def read_quotas(run: Run) -> None:
    from credentials.services.readings import read_quotas

    read_quotas(run)


@shared_task
@upkeep("The new day at Google (midnight in California)")
def begin_day(run: Run) -> None:
    from credentials.services.upkeep import begin_day

    begin_day(run)


@shared_task
@upkeep("Notices to contributors")
def notify_contributors(run: Run) -> None:
    from credentials.services import notify_due

    run.result(sent=notify_due())


@shared_task
@upkeep("Withdrawals that wait for calls or for Google")
def finish_withdrawals(run: Run) -> None:
    from credentials.services import finish_withdrawals

    run.result(finished=finish_withdrawals())


@shared_task
@upkeep("Ways to lend that nobody went to the end")
def expire_flows(run: Run) -> None:
    from credentials.services import expire_flows

    run.result(expired=expire_flows())


@shared_task
@upkeep("Imports that nobody confirmed")
def delete_stale_imports(run: Run) -> None:
    from credentials.services import delete_stale_imports

    run.result(deleted=delete_stale_imports())


@shared_task
@upkeep("What nobody needs any more")
def prune(run: Run) -> None:
    from credentials.services.pruning import prune

    run.result(**prune())


@shared_task
@upkeep("Credentials of the environment, when a worker starts")
def load_environment(run: Run) -> None:
    from credentials.services.environment import load_at_start

    run.result(loaded=load_at_start())


@shared_task
@upkeep("Rewards of contributors")
def reward_contributors(run: Run) -> None:
    from credentials.services.rewards import reward_contributors

    run.result(**reward_contributors())
