# Asks Gatehouse about every request. GATEHOUSE=http://localhost:3000 CLIENT_ID=… CLIENT_SECRET=… PORT=4000 ruby gatehouse.rb
require 'json'
require 'net/http'
require 'socket'

ENDPOINT = URI("#{ENV.fetch('GATEHOUSE')}/introspect")
TIMEOUTS = { open_timeout: 3, read_timeout: 3, use_ssl: ENDPOINT.scheme == 'https' }.freeze

# The claims of a live token, or nil; and its successor, or nil. Raises when nobody can know.
def introspect(authorization)
  token = authorization.to_s[/\ABearer +(\S+)\z/i, 1]
  return nil, nil if token.nil?

  question = Net::HTTP::Post.new(ENDPOINT)
  question.basic_auth(ENV.fetch('CLIENT_ID'), ENV.fetch('CLIENT_SECRET'))
  question.form_data = { 'token' => token }
  answer = Net::HTTP.start(ENDPOINT.host, ENDPOINT.port, TIMEOUTS) { |http| http.request(question) }
  raise "Gatehouse answered #{answer.code}" unless answer.code == '200' # a redirect is not followed

  claims = JSON.parse(answer.body)
  raise 'that was not Gatehouse' unless [true, false].include?(claims['active'])

  [claims['active'] ? claims : nil, answer['Refreshed-API-Token']]
end

# What to answer: status, headers and text, as Rack has them.
def hello(authorization)
  claims, successor = introspect(authorization)
  relay = successor ? { 'Refreshed-API-Token' => successor, 'Cache-Control' => 'no-store' } : {}
  claims ? [200, relay, "Hello #{claims['sub']}\n"] : [401, relay.merge('WWW-Authenticate' => 'Bearer'), '']
rescue StandardError => e # without a verdict nobody is let in, and nobody is logged out
  warn "Gatehouse: #{e.message}"
  [503, { 'Retry-After' => '1' }, '']
end

# A server to try it with. In Rails, Sinatra or Rack, `hello` is what you take.
server = TCPServer.new('127.0.0.1', ENV.fetch('PORT'))
loop do
  Thread.new(server.accept) do |socket|
    head = socket.gets("\r\n\r\n").to_s
    status, headers, text = hello(head[/^Authorization: *(.*?)\r$/i, 1])
    lines = headers.merge('Content-Length' => text.bytesize, 'Connection' => 'close').map { |pair| pair.join(': ') }
    socket.write("HTTP/1.1 #{status} -\r\n", lines.join("\r\n"), "\r\n\r\n", text)
    socket.close
  end
end
