from django.apps import AppConfig


class CredentialsConfig(AppConfig):
    name = "credentials"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from credentials.services import bulk, flow_job, flow_rows, intake, withdrawal
        from gateway.lib import jobs

        jobs.register(bulk.KIND, bulk.run_job)
        jobs.register(intake.JOB, intake.run_job)
        jobs.register(flow_rows.JOB, flow_job.run_job)
        jobs.register(withdrawal.JOB, withdrawal.run_job)
