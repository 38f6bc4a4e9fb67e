# What an application that knows its own users asks of Gatehouse: it opens sessions for them, asks about every request, and ends. It needs the
# standard library alone, and GATEHOUSE (http://localhost:3000), CLIENT_ID and CLIENT_SECRET in its environment. The client needs the permissions
# sessions:open, introspect and revoke.
import base64, json, os, re
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import quote, quote_plus, urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

URL = os.environ["GATEHOUSE"]
CLIENT_ID = os.environ["CLIENT_ID"]
# RFC 6749, section 2.3.1: both are percent-encoded first.
PAIR = f"{quote_plus(CLIENT_ID)}:{quote_plus(os.environ['CLIENT_SECRET'])}"
BASIC = "Basic " + base64.b64encode(PAIR.encode()).decode()
BEARER = re.compile(r"bearer +([\w.-]{1,3800})", re.ASCII | re.IGNORECASE)

class NoRedirects(HTTPRedirectHandler):
    redirect_request = lambda *_: None  # tokens and the secret are for Gatehouse alone

OPENER = build_opener(NoRedirects)

class Unavailable(Exception):
    """Nobody can know now. Answer 503: nobody is let in, and nobody is logged out."""
    retry_after = "1"

class Refused(Exception):
    """Gatehouse says no. `error` is its word for it, `headers` are to be sent on with `status`."""
    def __init__(self, status, error, headers):
        super().__init__(error)
        self.status, self.error, self.headers = status, error, headers

def _relay(headers):
    """The successor of a token near its end, for the caller, who keeps the token."""
    successor = headers["Refreshed-API-Token"]
    if not successor:
        return {}
    return {"Refreshed-API-Token": successor, "Cache-Control": "no-store", "Vary": "Authorization"}

def _ask(method, path, success, refusals=(), authorization=BASIC, body=None, form=None):
    """Headers and JSON of an answer with the status `success`. Raises Refused for a word among `refusals`, and Unavailable for all else."""
    headers = {} if authorization is None else {"Authorization": authorization}
    data = None if form is None else urlencode(form).encode()
    if body is not None:
        data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
    try:
        try:
            answer = OPENER.open(Request(URL + path, data, headers, method=method), timeout=3)
        except HTTPError as error:
            answer = error
        with answer:
            value = json.loads(answer.read(1_000_000) or b"{}")
        error = value.get("error")
    except (OSError, HTTPException, ValueError, AttributeError) as problem:
        raise Unavailable(f"{method} {path}: {problem!r}") from problem
    if answer.status == success:
        return answer.headers, value
    if answer.status >= 500 or error not in refusals:
        unavailable = Unavailable(f"{method} {path}: {answer.status} {error}")
        unavailable.retry_after = answer.headers["Retry-After"] or "1"
        raise unavailable
    challenge = answer.headers["WWW-Authenticate"]
    raise Refused(answer.status, error, {**({"WWW-Authenticate": challenge} if challenge else {}), **_relay(answer.headers)})

def _known(value, name, kind):
    if not isinstance(value.get(name), kind):
        raise Unavailable(f"an answer without {name}: that was not Gatehouse")
    return value[name]

def _pair(answer):
    _known(answer[1], "access_token", str)
    return answer[1]

def open_session(external_id, **claims):
    """Tokens for a user whom the application has proved. `claims`: username, scope, ext, amr, access_token_ttl, refresh, ip and the like."""
    return _pair(_ask("POST", "/sessions", 201, ("user_disabled", "too_many_sessions"), body={"external_id": external_id, **claims}))

def change_session(session_id, **claims):
    """Says something else of a session from now on: its access tokens are dead, and its refresh token brings new ones."""
    _ask("PATCH", f"/sessions/{quote(session_id, safe='')}", 200, ("not_found",), body=claims)

def end_session(session_id, authorization=BASIC):
    """With the token of a user, it ends sessions of this user alone; with the client's secret, all that the client has opened."""
    _ask("DELETE", f"/sessions/{quote(session_id, safe='')}", 204, ("not_found", "invalid_token"), authorization)

def end_all(external_id):
    """Ends every session of a user, and says how many there were."""
    return _known(_ask("POST", "/logout-all", 200, body={"external_id": external_id})[1], "sessions_ended", int)

def refresh(refresh_token):
    words = ("invalid_request", "invalid_token", "refresh_reused", "refresh_superseded")
    return _pair(_ask("POST", "/refresh", 200, words, None, body={"refresh_token": refresh_token}))

def revoke(token):
    """Ends an access token alone, or the session of a refresh token. Tokens that nobody knows are fine, too."""
    if _ask("POST", "/revoke", 200, form={"token": token})[1]:
        raise Unavailable("an answer to /revoke that is not empty: that was not Gatehouse")

def check(authorization, max_age=None):
    """The claims of a live token of a user of ours, and headers for our answer. `max_age`: how old the login may be, in seconds, by Gatehouse's clock."""
    found = BEARER.fullmatch(authorization or "")
    if found is None:
        raise Refused(401, "invalid_token", {"WWW-Authenticate": "Bearer"})
    token, headers, is_live = found[1], {}, True
    if max_age is None:
        headers, claims = _ask("POST", "/introspect", 200, form={"token": token})
        is_live = _known(claims, "active", bool)
    else:
        words = ("invalid_token", "insufficient_scope", "insufficient_user_authentication")
        headers, claims = _ask("GET", f"/session?max_age={max_age:d}", 200, words, f"Bearer {token}")
    # Users of other clients may have the same `sub`: a user is the pair of both.
    if is_live and _known(claims, "client_id", str) == CLIENT_ID and _known(claims, "sub", str):
        return claims, _relay(headers)
    raise Refused(401, "invalid_token", {"WWW-Authenticate": 'Bearer error="invalid_token"', **_relay(headers)})

def sessions(authorization):
    """Where the owner of this token is logged in."""
    return _known(_ask("GET", "/sessions", 200, ("invalid_token",), authorization)[1], "sessions", list)
