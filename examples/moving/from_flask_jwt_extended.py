# An application in Flask that had flask-jwt-extended. GATEHOUSE=… CLIENT_ID=… CLIENT_SECRET=… flask --app from_flask_jwt_extended run --port 4000
from functools import wraps
from flask import Flask, g, jsonify, request
import gatehouse
from people import PEOPLE, prove

app = Flask(__name__)
COOKIE = "__Host-session"

@app.errorhandler(gatehouse.Refused)
def refused(no):
    return jsonify(error=no.error), no.status, no.headers

@app.errorhandler(gatehouse.Unavailable)
def unavailable(problem):
    app.logger.error("%s", problem)
    return jsonify(error="temporarily_unavailable"), 503, {"Retry-After": problem.retry_after}

@app.after_request
def relay(response):
    response.headers.update(g.get("relay", {}))
    return response

def signed_in(optional=False, max_age=None, scope=None):
    """A view for whoever has a live token: `g.claims` are its claims, and `g.person` is whose it is. `optional`: also for callers without any token."""
    def wrap(view):
        @wraps(view)
        def wrapped(*args, **kwargs):
            g.claims = g.person = None
            authorization = request.headers.get("Authorization")
            if authorization is not None or not optional:
                g.claims, g.relay = gatehouse.check(authorization, max_age)
                g.person = PEOPLE.get(g.claims["sub"])
                if g.person is None:  # whom the application has forgotten meanwhile
                    raise gatehouse.Refused(401, "invalid_token", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
            if scope is not None and scope not in g.claims.get("scope", "").split():
                return jsonify(error="insufficient_scope"), 403
            return view(*args, **kwargs)
        return wrapped
    return wrap

def open_for(person, **claims):
    return gatehouse.open_session(
        person["id"],
        username=person["name"],
        scope=person["scope"],
        ext={"department": person["department"]},
        amr=["pwd"],
        ip=request.remote_addr,  # behind a proxy: what ProxyFix makes of it
        user_agent=request.headers.get("User-Agent", "")[:512],
        **claims,
    )

def proved():
    """The person whose name and password the body has."""
    person = prove(request.json.get("username"), request.json.get("password"))
    if person is None:
        raise gatehouse.Refused(401, "invalid_credentials", {"WWW-Authenticate": "Bearer"})
    return person

@app.post("/login")
def login():
    return jsonify(open_for(proved()))

@app.post("/login/short")
def login_for_an_hour():
    return jsonify(open_for(proved(), session_ttl=3600, access_token_ttl=60))

@app.get("/protected")
@signed_in()
def protected():
    return jsonify(logged_in_as=g.claims["sub"])

@app.get("/optional")
@signed_in(optional=True)
def optionally_protected():
    return jsonify(logged_in_as=g.claims["sub"] if g.claims else None)

@app.get("/who-am-i")
@signed_in()
def who_am_i():
    return jsonify(id=g.person["id"], username=g.person["username"], name=g.person["name"])

@app.get("/department")
@signed_in()
def department():
    return jsonify(department=g.claims["ext"]["department"])

@app.put("/department")
@signed_in()
def move():
    g.person["department"] = request.json["department"]
    gatehouse.change_session(g.claims["sid"], ext={"department": g.person["department"]})
    g.relay = {}
    return "", 204  # the caller's token is dead, and /refresh brings one that says so

@app.get("/admin")
@signed_in(scope="admin")
def admin():
    return jsonify(welcome=g.person["name"])

@app.post("/refresh")
def refresh():
    return jsonify(gatehouse.refresh(request.json.get("refresh_token")))

@app.get("/fresh")
@signed_in(max_age=300)
def fresh():
    return jsonify(logged_in_as=g.claims["sub"])

@app.post("/fresh-login")
@signed_in()
def fresh_login():
    """The password once more: a new session in the place of the one that asks."""
    person = proved()
    if person is not g.person:
        raise gatehouse.Refused(401, "invalid_credentials", {"WWW-Authenticate": "Bearer"})
    pair = open_for(person)
    gatehouse.end_session(g.claims["sid"])
    g.relay = {}
    return jsonify(pair)

@app.delete("/token")
@signed_in()
def revoke_token():
    gatehouse.revoke(request.headers["Authorization"].partition(" ")[2].strip())
    g.relay = {}
    return "", 204

@app.delete("/logout")
@signed_in()
def logout():
    gatehouse.end_session(g.claims["sid"])
    g.relay = {}
    return "", 204

@app.delete("/logout/everywhere")
@signed_in()
def logout_everywhere():
    g.relay = {}
    return jsonify(sessions_ended=gatehouse.end_all(g.claims["sub"]))

# The same with the token in a cookie that no script can read. SameSite is not enough where other applications share the site.

def by_cookie(view):
    @wraps(view)
    def wrapped():
        if request.method != "GET" and request.headers.get("Sec-Fetch-Site") != "same-origin":
            return jsonify(error="csrf_rejected"), 403
        g.claims, successor = check_cookie()
        response = app.make_response(view())
        if successor is not None and not g.get("is_over"):
            keep(response, successor)
        return response
    return wrapped

def check_cookie():
    """The claims, and a successor for the cookie, or None. Up to 60 s after its `exp` a token still has one."""
    token = request.cookies.get(COOKIE, "")
    try:
        claims, headers = gatehouse.check(f"Bearer {token}")
        return claims, headers.get("Refreshed-API-Token")
    except gatehouse.Refused as no:
        successor = no.headers.pop("Refreshed-API-Token", None)  # scripts are not to see it
        if successor is None:
            raise
        return gatehouse.check(f"Bearer {successor}")[0], successor

def keep(response, token):
    response.set_cookie(COOKIE, token, secure=True, httponly=True, samesite="Strict")
    response.headers["Cache-Control"] = "no-store"

@app.post("/cookie/login")
def cookie_login():
    response = jsonify(welcome=True)
    keep(response, open_for(proved(), refresh=False)["access_token"])
    return response

@app.get("/cookie/protected")
@by_cookie
def cookie_protected():
    return jsonify(logged_in_as=g.claims["sub"])

@app.post("/cookie/logout")
@by_cookie
def cookie_logout():
    gatehouse.end_session(g.claims["sid"])
    g.is_over = True
    response = jsonify(goodbye=True)
    response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="Strict")
    return response
