# FastAPI in front of gatehouse.py, for the applications of this folder. Its views are no coroutines: FastAPI runs them in threads, where they may wait.
import logging
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
import gatehouse
from people import PEOPLE, prove
from pydantic import BaseModel

class Login(BaseModel):
    username: str
    password: str

class Renewal(BaseModel):
    refresh_token: str

def create_app():
    app = FastAPI()

    @app.exception_handler(gatehouse.Refused)
    def refused(_, no):
        return JSONResponse({"error": no.error}, no.status, no.headers)

    @app.exception_handler(gatehouse.Unavailable)
    def unavailable(_, problem):
        logging.error("%s", problem)
        return JSONResponse({"error": "temporarily_unavailable"}, 503, {"Retry-After": problem.retry_after})

    @app.middleware("http")
    async def relay(request: Request, call_next):
        """The successor goes with every answer of a view, a 404 or 409 among them, unless the view has ended the session."""
        request.state.relay = {}
        response = await call_next(request)
        response.headers.update(request.state.relay)
        return response

    return app

def signed_in(max_age=None):
    """A dependency: the claims of the caller's live token."""
    def claims(request: Request):
        found, request.state.relay = gatehouse.check(request.headers.get("Authorization"), max_age)
        if found["sub"] not in PEOPLE:  # whom the application has forgotten meanwhile
            raise gatehouse.Refused(401, "invalid_token", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        return found
    return claims

def maybe_signed_in(request: Request):
    """The same, and None for callers without any token. A token that is dead is 401 here, too: the caller is to renew it."""
    return None if request.headers.get("Authorization") is None else signed_in()(request)

def scopes(*words, all_required=True):
    """A dependency: the claims of a token that has all these scopes, or any of them. Each is compared as a whole: there are no wildcards."""
    def claims(found=Depends(signed_in())):
        has = [word in found.get("scope", "").split() for word in words]
        if not (all(has) if all_required else any(has)):
            raise gatehouse.Refused(403, "insufficient_scope", {})
        return found
    return claims

def prove_or_refuse(login):
    person = prove(login.username, login.password)
    if person is None:
        raise gatehouse.Refused(401, "invalid_credentials", {"WWW-Authenticate": "Bearer"})
    return person

def open_for(person, request, **claims):
    """`claims` are said in place of what the person brings."""
    said = {
        "username": person["name"],
        "scope": person["scope"],
        "ip": request.client.host,  # behind a proxy: what uvicorn's --proxy-headers makes of it
        "user_agent": request.headers.get("User-Agent", "")[:512],
    }
    return gatehouse.open_session(person["id"], **{**said, **claims})

def after_end(request):
    """Whoever has ended their session gets no successor with the answer."""
    request.state.relay = {}
