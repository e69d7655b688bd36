<?php

// Writes one line of 100 kB to stderr, then takes the email.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
while ($relay->waitEmail() !== null) {
    \fwrite(\STDERR, \str_repeat('x', 100_000) . "\n");
    $relay->answer('CONTINUE');
}
