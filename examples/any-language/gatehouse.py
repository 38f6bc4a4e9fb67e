# Asks Gatehouse about every request. GATEHOUSE=http://localhost:3000 CLIENT_ID=… CLIENT_SECRET=… PORT=4000 python3 gatehouse.py
import base64, json, os, urllib.parse, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class NoRedirects(urllib.request.HTTPRedirectHandler):
    redirect_request = lambda *_: None  # the token and the secret are for Gatehouse alone

URL = os.environ["GATEHOUSE"] + "/introspect"
BASIC = base64.b64encode(f"{os.environ['CLIENT_ID']}:{os.environ['CLIENT_SECRET']}".encode()).decode()
OPENER = urllib.request.build_opener(NoRedirects)

def introspect(authorization):
    """The claims of a live token, or None; and its successor, or None. Raises when nobody can know."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return None, None
    form = urllib.parse.urlencode({"token": token}).encode()
    question = urllib.request.Request(URL, form, {"Authorization": "Basic " + BASIC})
    with OPENER.open(question, timeout=3) as answer:  # raises unless it is 2xx
        claims = json.load(answer)
    if not isinstance(claims["active"], bool):
        raise ValueError("that was not Gatehouse")
    return claims if claims["active"] else None, answer.headers["Refreshed-API-Token"]

class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            claims, successor = introspect(self.headers["Authorization"])
        except Exception as error:  # of any kind: without a verdict nobody is let in, and nobody is logged out
            self.log_error("Gatehouse: %r", error)
            return self.answer(503, {"Retry-After": "1"})
        relay = {"Refreshed-API-Token": successor, "Cache-Control": "no-store"} if successor else {}
        if claims is None:
            return self.answer(401, {"WWW-Authenticate": "Bearer", **relay})
        self.answer(200, relay, f"Hello {claims['sub']}\n")

    def answer(self, status, headers, text=""):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Hello).serve_forever()
