<?php

// A consumer of jobs: appends {context, body} of each to RECORDS-<pid>, and answers with what its subject says.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
$records = \fopen(\getenv('RECORDS') . '-' . \getmypid(), 'ab');
while (($frame = $relay->readFrame()) !== null && !($frame[0] & CONTROL)) {
    [, [$length], $payload] = $frame;
    [$context, $body] = [\substr($payload, 0, $length), \substr($payload, $length)];
    $job = \json_decode($body);
    $mode = \json_encode(\getenv('RR_MODE'));
    \fwrite($records, "{\"uuid\":\"$job->uuid\",\"mode\":$mode,\"context\":$context,\"body\":$body}\n");
    match ($job->message->subject) {
        'crash' => exit(3),
        'error frame' => $relay->error('the database is gone'),
        'restart' => $relay->answer('{"stop":true}'),
        'close' => $relay->answer('CLOSE'),
        default => $relay->answer('', $job->message->subject),
    };
}
