<?php

// Answers with text that is not a frame.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
$relay->waitEmail();
$relay->write("PHP Warning: something is undefined in worker.php on line 7\n");
$relay->waitEmail();
