# Opens a session for a task instance and runs the task, which gets its token and no secret. The session ends with the task.
# GATEHOUSE=… CLIENT_ID=… CLIENT_SECRET=… API=http://localhost:4000 python3 executor.py ID
import os, subprocess, sys
import gatehouse

id = sys.argv[1]
# No refresh token: the task lives as long as it beats. The session ends after a day at the latest.
session = gatehouse.open_session(f"task:{id}", refresh=False, access_token_ttl=int(os.environ.get("TOKEN_S", "600")), session_ttl=86_400)
try:
    environment = {name: value for name, value in os.environ.items() if name != "CLIENT_SECRET"}
    task = subprocess.Popen([sys.executable, "from_airflow.py", id], stdin=subprocess.PIPE, text=True, env=environment)
    task.stdin.write(session["access_token"] + "\n")
    task.stdin.close()
    status = task.wait()
finally:
    gatehouse.end_session(session["session_id"])
sys.exit(status)
