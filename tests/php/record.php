<?php

// Appends the context of every email to a file of its own, RECORDS-<pid>, one line each; then CONTINUE.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
$records = \fopen(\getenv('RECORDS') . '-' . \getmypid(), 'ab');
while (($context = $relay->waitEmail()) !== null) {
    \fwrite($records, $context . "\n");
    $relay->answer('CONTINUE');
}
