<?php

// Takes no email: asks for its own restart each time.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
while ($relay->waitEmail() !== null) {
    $relay->answer('{"stop":true}');
}
