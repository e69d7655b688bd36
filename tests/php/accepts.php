<?php

// Takes every email: CONTINUE.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
while ($relay->waitEmail() !== null) {
    $relay->answer('CONTINUE');
}
