// Asks Gatehouse about every request. GATEHOUSE=http://localhost:3000 CLIENT_ID=… CLIENT_SECRET=… PORT=4000 java Gatehouse.java
import com.sun.net.httpserver.*;
import java.io.IOException;
import java.net.*;
import java.net.http.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.regex.*;

class Gatehouse {
    record Verdict(String subject, String successor) {}

    // It follows no redirect. HTTP/2 would be offered first, and Gatehouse closes a connection after such an offer.
    static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    static final URI ENDPOINT = URI.create(System.getenv("GATEHOUSE") + "/introspect");
    static final String BASIC = Base64.getEncoder().encodeToString(
        (System.getenv("CLIENT_ID") + ":" + System.getenv("CLIENT_SECRET")).getBytes());
    static final Pattern BEARER = Pattern.compile("(?i)Bearer +([\\w.-]+)");
    // Java reads no JSON by itself. No text in Gatehouse's answer can hold `"sub":"`, since quotes within a text are escaped.
    static final Pattern SUBJECT = Pattern.compile("^\\{\"active\":true,.*\"sub\":\"([^\"]+)\"");

    /** Whose live token it is, or null; and its successor, or null. Throws when nobody can know. */
    static Verdict introspect(String authorization) throws Exception {
        var token = BEARER.matcher(authorization == null ? "" : authorization);
        if (!token.matches()) return new Verdict(null, null);
        var question = HttpRequest.newBuilder(ENDPOINT)
            .header("Authorization", "Basic " + BASIC)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(HttpRequest.BodyPublishers.ofString("token=" + token.group(1)))
            .build();
        var answer = CLIENT.sendAsync(question, HttpResponse.BodyHandlers.ofString()).get(3, TimeUnit.SECONDS);
        if (answer.statusCode() != 200) throw new IOException("Gatehouse answered " + answer.statusCode());
        var successor = answer.headers().firstValue("Refreshed-API-Token").orElse(null);
        if (answer.body().equals("{\"active\":false}")) return new Verdict(null, successor);
        var subject = SUBJECT.matcher(answer.body());
        if (!subject.find()) throw new IOException("that was not Gatehouse");
        return new Verdict(subject.group(1), successor);
    }

    static void hello(HttpExchange exchange) throws IOException {
        var headers = exchange.getResponseHeaders();
        try {
            var verdict = introspect(exchange.getRequestHeaders().getFirst("Authorization"));
            if (verdict.successor() != null) {
                headers.set("Refreshed-API-Token", verdict.successor());
                headers.set("Cache-Control", "no-store");
            }
            if (verdict.subject() == null) {
                headers.set("WWW-Authenticate", "Bearer");
                exchange.sendResponseHeaders(401, -1);
            } else {
                exchange.sendResponseHeaders(200, 0);
                exchange.getResponseBody().write(("Hello " + verdict.subject() + "\n").getBytes());
            }
        } catch (Exception error) { // without a verdict nobody is let in, and nobody is logged out
            System.err.println("Gatehouse: " + error);
            headers.set("Retry-After", "1");
            exchange.sendResponseHeaders(503, -1);
        } finally {
            exchange.close();
        }
    }

    public static void main(String[] none) throws IOException {
        var server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(System.getenv("PORT"))), 0);
        server.createContext("/", Gatehouse::hello);
        server.setExecutor(Executors.newCachedThreadPool());
        server.start();
    }
}
