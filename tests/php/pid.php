<?php

// Appends its pid to the file PIDS for every email.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
while ($relay->waitEmail() !== null) {
    \file_put_contents(\getenv('PIDS'), \getmypid() . "\n", \FILE_APPEND);
    $relay->answer('CONTINUE');
}
