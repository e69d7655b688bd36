<?php

// Takes every email, and decodes it first, as workers do.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
while (($context = $relay->waitEmail()) !== null) {
    \json_decode($context, true, flags: \JSON_THROW_ON_ERROR);
    $relay->answer('CONTINUE');
}
