<?php

// Leaves a child behind that holds the relay, and ends in the middle of an email. The child's pid is in CHILD.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
$relay->waitEmail();
$child = \pcntl_fork();
if ($child === 0) {
    \sleep(1000);
}
\file_put_contents(\getenv('CHILD'), (string) $child);
\posix_kill(\getmypid(), \SIGKILL);
