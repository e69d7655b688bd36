<?php

// Does with each email what its subject says, and records those it takes (see record.php).

require __DIR__ . '/goridge.php';

$relay = Relay::start();
$records = \fopen(\getenv('RECORDS') . '-' . \getmypid(), 'ab');
while (($context = $relay->waitEmail()) !== null) {
    switch ($subject = \json_decode($context)->message->subject) {
        case 'crash':
            exit(3);
        case 'hang':
            \sleep(1000);
            // no break
        case 'garbage':
            $relay->write("PHP Warning: this is no frame\n");
            break;
        case 'error':
            $relay->error('the database is gone');
            break;
        default:
            \fwrite($records, $context . "\n");
            $relay->answer($subject);
    }
}
