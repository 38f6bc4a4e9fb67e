-- Asks Gatehouse who is calling, and takes its cookies out of what the application gets. For haproxy.cfg beside it.

-- What Gatehouse needs to say who is calling, beside the cookies and the method. No body, and no header that a caller made up.
local TOLD = {
  "authorization", "host", "origin", "sec-fetch-site", "user-agent",
  "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
}

-- The refusals of Gatehouse. Another status is none of it.
local REFUSALS = { [400] = true, [401] = true, [403] = true, [421] = true, [429] = true, [431] = true, [503] = true }

-- Gatehouse's are shorter, and more would not fit into an answer of HAProxy.
local MOST_BYTES = 4096

-- What belongs to the connection that an answer came over.
local HOP_BY_HOP = { connection = true, ["content-length"] = true, ["keep-alive"] = true, ["transfer-encoding"] = true }

-- HAProxy counts the values of a header from 0.
local function listed(values)
  return values and table.move(values, 0, #values, 1, {}) or {}
end

-- A variable that is not set is how haproxy.cfg knows that nobody vouches for a caller.
local function set(txn, name, values)
  local only, other = table.unpack(listed(values))
  if only and only ~= "" and not other then txn:set_var("txn." .. name, only) end
end

core.register_action("ask_gatehouse", { "http-req" }, function(txn)
  local sent = txn.http:req_get_headers()
  local told = { cookie = sent.cookie and { table.concat(listed(sent.cookie), "; ") } }
  for _, name in ipairs(TOLD) do
    -- What comes twice Gatehouse refuses, and more often HAProxy 2.6 has no room for it.
    told[name] = { table.unpack(listed(sent[name]), 1, 2) }
  end
  -- A handshake opens a socket that any page could then use: let Gatehouse look at the origin as with a POST.
  told["x-forwarded-method"] = { sent.upgrade and "POST" or txn.f:method() }

  local answer = core.httpclient():get({
    url = "http://gatehouse/session",
    dst = os.getenv("QUESTION"),
    headers = told,
  })

  if answer.status == 200 then
    for _, name in ipairs({ "username", "session", "scope", "client", "ext", "subject" }) do
      set(txn, name, answer.headers["x-auth-" .. name])
    end
    set(txn, "token", answer.headers["refreshed-api-token"])
    set(txn, "cookie", answer.headers["set-cookie"])
  elseif REFUSALS[answer.status] and #answer.body < MOST_BYTES then
    local reply = txn:reply({ status = answer.status, body = answer.body })
    for name, values in pairs(answer.headers) do
      for _, value in ipairs(HOP_BY_HOP[name] and {} or listed(values)) do reply:add_header(name, value) end
    end
    txn:done(reply)
  end
end)

-- Of the cookies those of others pass; none when one of ours is still in there, in an odd spelling.
core.register_action("drop_cookies_of_gatehouse", { "http-req" }, function(txn)
  local cookies = table.concat(listed(txn.http:req_get_headers().cookie), "; ")
  local kept = {}
  for cookie in cookies:gmatch("[^;]+") do
    local name = cookie:match("^%s*(.-)%s*=")
    if name ~= "__Host-gatehouse-access" and name ~= "__Host-gatehouse-refresh" then table.insert(kept, cookie) end
  end
  local rest = table.concat(kept, ";"):match("^%s*(.*)$")
  txn.http:req_del_header("cookie")
  if rest ~= "" and not rest:lower():find("__host-gatehouse-", 1, true) then txn.http:req_add_header("cookie", rest) end
end)
