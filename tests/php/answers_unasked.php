<?php

// Sends an answer before there is an email, when it is told so by SIGUSR1; makes the file READY before.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
\pcntl_async_signals(true);
\pcntl_signal(\SIGUSR1, fn () => $relay->answer('CONTINUE'));
\touch(\getenv('READY'));
while (true) {
    \usleep(1000);
}
