<?php

// Accepts every email. All but the first of them connect when a line arrives in the fifo GATE.

require __DIR__ . '/goridge.php';

if (!@\mkdir(\getenv('GATE') . '-first')) {
    while (\fgets(\fopen(\getenv('GATE'), 'r')) === false);
}
$relay = Relay::start();
while ($relay->waitEmail() !== null) {
    $relay->answer('CONTINUE');
}
