<?php

// Answers with a body of 64 MB.

require __DIR__ . '/goridge.php';

\ini_set('memory_limit', '-1');
$relay = Relay::start();
$relay->waitEmail();
$relay->answer('CONTINUE', \str_repeat('x', 64_000_000));
$relay->waitEmail();
