<?php

// Answers with a frame whose CRC is wrong.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
$relay->waitEmail();
$relay->write(Relay::header(8, [8], 0, 1) . 'CONTINUE');
$relay->waitEmail();
