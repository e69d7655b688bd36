<?php

// Accepts an email, then reads no more, but does not end: over pipes its stdin is closed.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
if ($relay->waitEmail() !== null) {
    $relay->answer('CONTINUE');
    $relay->stopReading();
    @\mkdir(\getenv('DONE'));
    \sleep(1000);
}
