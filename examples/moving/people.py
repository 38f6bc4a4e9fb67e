# The users of the applications in this folder. Each application knows them by itself and proves their passwords: Gatehouse hears of neither.
# In yours they are in a database, and you limit how often somebody may try.
import hashlib, hmac

def digest(password, salt):
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)

def person(id, username, name, department, scope):
    salt = id.encode()  # of this example: take a random one, and keep it beside the hash
    password = digest(f"password of {username}", salt)
    return {"id": id, "username": username, "name": name, "department": department, "scope": scope, "salt": salt, "password": password}

PEOPLE = {
    each["id"]: each
    for each in (
        person("7", "mara", "Mara Okafor", "sales", "posts:read posts:write"),
        person("8", "juno", "Juno Lindqvist", "accounts", "posts:read admin"),
    )
}

def prove(username, password):
    """The person whose name and password these are, or None. A name that nobody has takes as long as a wrong password."""
    found = next((each for each in PEOPLE.values() if each["username"] == username), None)
    known = found or PEOPLE["7"]
    is_right = hmac.compare_digest(digest(str(password), known["salt"]), known["password"])
    return found if is_right else None
