<?php

// Answers when it has read no more than the header of the email.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
$relay->peek(12);
$relay->answer('CONTINUE');
\sleep(1000);
