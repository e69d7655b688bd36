<?php

// Takes an email when a line arrives in the fifo GATE.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
while ($relay->waitEmail() !== null) {
    // Opened so early that the writer was still the one of the mail before: its end is not the line.
    while (\fgets(\fopen(\getenv('GATE'), 'r')) === false);
    $relay->answer('CONTINUE');
}
