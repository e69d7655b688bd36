<?php

// Takes an email when a line arrives in the fifo GATE.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
while ($relay->waitEmail() !== null) {
    \fgets(\fopen(\getenv('GATE'), 'r'));
    $relay->answer('CONTINUE');
}
