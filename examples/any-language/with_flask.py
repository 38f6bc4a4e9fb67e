# Every route of a Flask application wants a live token. GATEHOUSE=… CLIENT_ID=… CLIENT_SECRET=… flask --app with_flask run --port 4000
from flask import Flask, g, request
from gatehouse import introspect  # of gatehouse.py, which stands beside this file

app = Flask(__name__)

@app.before_request
def ask():
    try:
        g.user, g.successor = introspect(request.headers.get("Authorization"))
    except Exception as error:  # of any kind: without a verdict nobody is let in, and nobody is logged out
        app.logger.error("Gatehouse: %r", error)
        return "", 503, {"Retry-After": "1"}
    if g.user is None:
        return "", 401, {"WWW-Authenticate": "Bearer"}

@app.after_request
def relay(response):
    if g.get("successor"):
        response.headers["Refreshed-API-Token"] = g.successor
        response.headers["Cache-Control"] = "no-store"
    return response

@app.get("/")
def hello():
    return f"Hello {g.user['sub']}\n"
