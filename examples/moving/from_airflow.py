# The rule of Airflow's task client: it takes Refreshed-API-Token from every answer, and only then looks at the status. Needs httpx.
# executor.py starts it: API=http://localhost:4000 python3 from_airflow.py ID, with the token as the first line of standard input.
import os, sys, time
import httpx

class Ended(Exception):
    """The session of the task is over: nothing brings it back, and the task must stop."""

class TaskClient(httpx.Client):
    """Calls the API with a token that it keeps alive. Raises httpx.HTTPStatusError for all but 2xx, and Ended for a token that is dead."""

    def __init__(self, token, **options):
        # In this order: the answer of a refusal brings a successor, too.
        super().__init__(event_hooks={"response": [self._take_successor, httpx.Response.raise_for_status]}, timeout=3, trust_env=False, **options)
        self._keep(token)

    def _keep(self, token):
        self.headers["Authorization"] = f"Bearer {token}"

    def _take_successor(self, response):
        if "Refreshed-API-Token" in response.headers:
            self._keep(response.headers["Refreshed-API-Token"])

    def request(self, method, url, **options):
        for _ in range(2):
            asked_with = self.headers["Authorization"]
            try:
                return super().request(method, url, **options)
            except httpx.HTTPStatusError as error:
                if error.response.status_code != 401:
                    raise
                if self.headers["Authorization"] == asked_with:
                    break
            # Up to 60 s after its `exp` a token is refused with a successor: the same request once more, with that.
        raise Ended

def heartbeats(client, id, pause_s):
    """Beats until the task is over, and yields "alive" or, when nobody knows, "unknown"."""
    while True:
        try:
            client.put(f"/task-instances/{id}/heartbeat")
            yield "alive"
        except httpx.HTTPStatusError as error:
            if error.response.status_code < 500:
                raise
            yield "unknown"  # a 5xx ends no task
        except httpx.TransportError:
            yield "unknown"
        time.sleep(pause_s)

if __name__ == "__main__":
    with TaskClient(sys.stdin.readline().strip(), base_url=os.environ["API"]) as client:
        try:
            for beat in heartbeats(client, sys.argv[1], float(os.environ.get("PAUSE_S", "5"))):
                print(beat, flush=True)
        except (Ended, httpx.HTTPStatusError) as end:
            sys.exit(f"stopped: {end!r}")
