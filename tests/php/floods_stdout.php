<?php

// Prints without end while it has an email.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
$relay->waitEmail();
while (true) {
    echo \str_repeat("debugging ...\n", 1000);
}
