# A fleet in Airflow: one task for each account, the canary (wave 1) first and then the rest. Copy it, the fleet with its files and
# accounts.json into the folder of DAGs. accounts.json is committed: qunfa fleet list fleet.yaml --format json > accounts.json
# QUNFA_STATE=postgresql://... is set where the tasks run.
import json
from datetime import timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

CAMPAIGN = Path(__file__).parent
# Read, and not asked for: Airflow parses this file again and again. AIRFLOW__CORE__MAX_MAP_LENGTH (1,024) limits lists that tasks
# return, and not this one.
ACCOUNTS = json.loads((CAMPAIGN / "accounts.json").read_text())


def send(task_id, accounts):
    return BashOperator.partial(
        task_id=task_id,
        # `exec`: a SIGTERM of Airflow reaches qunfa, which finishes the call in flight and records it.
        bash_command='exec qunfa run --fleet fleet.yaml --account "$ACCOUNT" --expect "$DIGEST" --yes',
        cwd=str(CAMPAIGN),
        # The environment of the worker, and these two. Airflow stores and shows them, so the secrets are not among them: `command:` in
        # fleet.yaml fetches each where it is used.
        append_env=True,
        map_index_template="{{ task.env['ACCOUNT'] }}",
        # Accounts mostly wait, for WeChat's pace and for results: many slots for each core.
        max_active_tis_per_dagrun=16,
        # Safe, because all tasks share the ledger: a repetition sends nothing twice.
        retries=4,
        retry_delay=timedelta(minutes=2),
    ).expand(env=[{"ACCOUNT": account["name"], "DIGEST": account["digest"]} for account in accounts])


with DAG(dag_id="qunfa_fleet", schedule=None, catchup=False, max_active_runs=1):
    canary = send("canary", [account for account in ACCOUNTS if account["wave"] == 1])
    rest = send("rest", [account for account in ACCOUNTS if account["wave"] > 1])
    canary >> rest
