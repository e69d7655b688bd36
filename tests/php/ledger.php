<?php

// Writes "subject nanoseconds" of every email to LEDGER-<pid>: what it got, and the time it took over it. Then CONTINUE.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
$ledger = \fopen(\getenv('LEDGER') . '-' . \getmypid(), 'ab');
while (($context = $relay->waitEmail()) !== null) {
    $began = \hrtime(true);
    $email = \json_decode($context, true, 512, \JSON_THROW_ON_ERROR);
    // Everything but the answer itself is the worker's own time.
    \fwrite($ledger, $email['message']['subject'] . ' ' . (\hrtime(true) - $began) . "\n");
    $relay->answer('CONTINUE');
}
