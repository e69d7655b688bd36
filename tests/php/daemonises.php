<?php

// Leaves a daemon behind that holds the relay until it is closed, and ends with status 3 in the middle of an email.
// The daemon's pid is in CHILD.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
$relay->waitEmail();
$child = \pcntl_fork();
if ($child === 0) {
    \posix_setsid();
    if (\pcntl_fork() === 0) {
        \file_put_contents(\getenv('CHILD'), (string) \getmypid());
        $relay->waitEmail();
    }
    exit(0);
}
\pcntl_waitpid($child, $status);
exit(3);
