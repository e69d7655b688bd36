<?php

// Ends with status 3 in the middle of an email.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
$relay->waitEmail();
\fwrite(\STDERR, "out of order\n");
exit(3);
