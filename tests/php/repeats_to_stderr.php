<?php

// Writes the subject of each email, as it is, to stderr, answers with it in an ERROR frame, and crashes over "crash".

require __DIR__ . '/goridge.php';

$relay = Relay::start();
while (($context = $relay->waitEmail()) !== null) {
    $subject = \json_decode($context)->message->subject;
    \fwrite(\STDERR, $subject . "\n");
    if (\str_starts_with($subject, 'crash')) {
        exit(3);
    }
    $relay->error($subject);
}
