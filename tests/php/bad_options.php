<?php

// Answers with a context longer than the frame.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
$relay->waitEmail();
$relay->send('CONTINUE', [9]);
$relay->waitEmail();
