<?php // Asks Gatehouse about every request. GATEHOUSE=http://localhost:3000 CLIENT_ID=… CLIENT_SECRET=… php -S 127.0.0.1:4000 gatehouse.php

/** The claims of a live token, or null; and its successor, or null. Throws when nobody can know. */
function introspect(string $authorization): array
{
    if (!preg_match('/^Bearer +(\S+)$/iD', $authorization, $found)) {
        return [null, null];
    }
    $basic = base64_encode(getenv('CLIENT_ID') . ':' . getenv('CLIENT_SECRET'));
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => ["Authorization: Basic $basic", 'Content-Type: application/x-www-form-urlencoded'],
        'content' => http_build_query(['token' => $found[1]]),
        'timeout' => 3,
        'follow_location' => 0, // the token and the secret are for Gatehouse alone
    ]]);
    $answer = @fopen(getenv('GATEHOUSE') . '/introspect', 'r', false, $context);
    $head = $answer ? stream_get_meta_data($answer)['wrapper_data'] : ['no answer'];
    if (!preg_match('/^\S+ 200\b/', $head[0])) {
        throw new RuntimeException('Gatehouse: ' . (error_get_last()['message'] ?? $head[0]));
    }
    $claims = json_decode(stream_get_contents($answer), true, 8, JSON_THROW_ON_ERROR);
    if (!is_bool($claims['active'] ?? null)) {
        throw new RuntimeException('that was not Gatehouse');
    }
    $successors = preg_filter('/^Refreshed-API-Token: */i', '', $head);
    return [$claims['active'] ? $claims : null, array_pop($successors)];
}

try {
    [$claims, $successor] = introspect($_SERVER['HTTP_AUTHORIZATION'] ?? '');
} catch (Throwable $error) { // without a verdict nobody is let in, and nobody is logged out
    error_log($error->getMessage());
    http_response_code(503);
    header('Retry-After: 1');
    exit;
}
if ($successor !== null) {
    header("Refreshed-API-Token: $successor");
    header('Cache-Control: no-store');
}
if ($claims === null) {
    http_response_code(401);
    header('WWW-Authenticate: Bearer');
    exit;
}
echo "Hello {$claims['sub']}\n";
