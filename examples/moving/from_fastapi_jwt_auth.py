# An application in FastAPI that had fastapi-jwt-auth. GATEHOUSE=… CLIENT_ID=… CLIENT_SECRET=… python3 -m uvicorn from_fastapi_jwt_auth:app --port 4000
from fastapi import Depends, Request
import gatehouse
from with_fastapi import (
    Login, Renewal, after_end, create_app, maybe_signed_in, open_for, prove_or_refuse, signed_in,
)

app = create_app()

@app.post("/login")
def login(body: Login, request: Request):
    person = prove_or_refuse(body)
    return open_for(person, request, ext={"teams": [person["department"], "everybody"]})

@app.get("/user")
def user(claims=Depends(signed_in())):
    return {"user": claims["sub"]}

@app.get("/partially-protected")
def partially_protected(claims=Depends(maybe_signed_in)):
    return {"user": claims["sub"] if claims else "anonymous"}

@app.post("/refresh")
def refresh(body: Renewal):
    return gatehouse.refresh(body.refresh_token)

@app.get("/protected-fresh")
def protected_fresh(claims=Depends(signed_in(max_age=300))):
    return {"user": claims["sub"]}

@app.post("/fresh-login")
def fresh_login(body: Login, request: Request, claims=Depends(signed_in())):
    """The password once more: a new session in the place of the one that asks."""
    person = prove_or_refuse(body)
    if person["id"] != claims["sub"]:
        raise gatehouse.Refused(401, "invalid_credentials", {"WWW-Authenticate": "Bearer"})
    pair = open_for(person, request)
    gatehouse.end_session(claims["sid"])
    after_end(request)
    return pair

@app.delete("/access-revoke")
def access_revoke(request: Request, _=Depends(signed_in())):
    gatehouse.revoke(request.headers["Authorization"].partition(" ")[2].strip())
    after_end(request)
    return {"ended": "this token, and what it would have been renewed to"}

@app.delete("/refresh-revoke")
def refresh_revoke(body: Renewal):
    gatehouse.revoke(body.refresh_token)
    return {"ended": "the session, with all its tokens"}

@app.get("/claims")
def claims_of(claims=Depends(signed_in())):
    return {"teams": claims["ext"]["teams"]}

@app.post("/create-dynamic-token")
def create_dynamic_token(body: Login, request: Request):
    """For a program that may work for an hour: nothing renews it past that."""
    return open_for(prove_or_refuse(body), request, refresh=False, session_ttl=3600, access_token_ttl=120)
