# What a task of Airflow talks to, in small: heartbeats of task instances. Each has a session of its own, of a user called task:ID.
# GATEHOUSE=… CLIENT_ID=… CLIENT_SECRET=… python3 -m uvicorn execution_api:app --port 4000
from fastapi import Depends, Response
import gatehouse
from fastapi import Request
from with_fastapi import create_app

app = create_app()
FINISHED = set()

def task(id: str, request: Request):
    """The id of the task instance, whose own token the caller must have."""
    claims, request.state.relay = gatehouse.check(request.headers.get("Authorization"))
    if claims["sub"] != f"task:{id}":
        raise gatehouse.Refused(403, "insufficient_scope", {})
    return id

@app.put("/task-instances/{id}/heartbeat", status_code=204)
def heartbeat(id=Depends(task)):
    if id in FINISHED:
        raise gatehouse.Refused(409, "invalid_state", {})
    return Response(status_code=204)

@app.patch("/task-instances/{id}/state", status_code=204)
def finish(id=Depends(task)):
    FINISHED.add(id)
    return Response(status_code=204)
