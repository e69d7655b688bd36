<?php

// Takes emails, but does not stop when asked to.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
while ($relay->waitEmail() !== null) {
    $relay->answer('CONTINUE');
}
while (true) {
    \sleep(1000);
}
