<?php

// Keeps every email as long as the file HOLD is there.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
while ($relay->waitEmail() !== null) {
    while (\file_exists(\getenv('HOLD'))) {
        \usleep(2000);
        \clearstatcache();
    }
    $relay->answer('CONTINUE');
}
