<?php

// Answers the handshake with an email's answer.

require __DIR__ . '/goridge.php';

$relay = Relay::connect();
$relay->readFrame();
$relay->answer('CONTINUE');
$relay->readFrame();
