# An application in FastAPI that had AuthX. GATEHOUSE=… CLIENT_ID=… CLIENT_SECRET=… python3 -m uvicorn from_authx:app --port 4000
from fastapi import Depends, Request
import gatehouse
from people import PEOPLE
from with_fastapi import Login, Renewal, after_end, create_app, open_for, prove_or_refuse, scopes, signed_in

app = create_app()

@app.post("/login")
def login(body: Login, request: Request):
    return open_for(prove_or_refuse(body), request, amr=["pwd"])

@app.get("/")
def read_root():
    return {"welcome": "everybody"}

@app.get("/protected")
def protected(claims=Depends(signed_in())):
    return {"username": claims["username"], "sub": claims["sub"]}

@app.get("/profile")
def profile(claims=Depends(signed_in())):
    person = PEOPLE[claims["sub"]]
    return {"name": person["name"], "can_edit": "posts:write" in claims.get("scope", "").split()}

@app.post("/refresh")
def refresh(body: Renewal):
    return gatehouse.refresh(body.refresh_token)

@app.get("/fresh-required")
def fresh_required(claims=Depends(signed_in(max_age=300))):
    return {"sub": claims["sub"]}

@app.post("/logout")
def logout(request: Request, claims=Depends(signed_in())):
    gatehouse.end_session(claims["sid"])
    after_end(request)
    return {"goodbye": claims["username"]}

@app.get("/posts")
def list_posts(claims=Depends(scopes("posts:read"))):
    return {"posts": []}

@app.delete("/posts/{number}")
def delete_post(number: int, claims=Depends(scopes("posts:read", "posts:write"))):
    return {"deleted": number}

@app.get("/moderate")
def moderate(claims=Depends(scopes("admin", "moderator", all_required=False))):
    return {"welcome": claims["username"]}

@app.delete("/people/{id}/scope")
def take_away(id: str, claims=Depends(scopes("admin"))):
    """Whoever may administer takes all scopes from a person: in this application, and in all that stands for the person at Gatehouse."""
    if id not in PEOPLE:
        raise gatehouse.Refused(404, "not_found", {})
    PEOPLE[id]["scope"] = ""
    return {"sessions_ended": gatehouse.end_all(id)}

@app.get("/sessions")
def list_sessions(request: Request, _=Depends(signed_in())):
    return {"sessions": gatehouse.sessions(request.headers["Authorization"])}

@app.post("/sessions/{id}/revoke")
def revoke_session(id: str, request: Request, claims=Depends(signed_in())):
    """With the caller's own token: the application's secret would end other people's sessions, too."""
    gatehouse.end_session(id, request.headers["Authorization"])
    if id == claims["sid"]:
        after_end(request)
    return {"ended": id}

@app.post("/logout-everywhere")
def revoke_all_sessions(request: Request, claims=Depends(signed_in())):
    after_end(request)
    return {"sessions_ended": gatehouse.end_all(claims["sub"])}
