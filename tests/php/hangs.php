<?php

// Never answers an email.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
$relay->waitEmail();
while (true) {
    \sleep(1000);
}
