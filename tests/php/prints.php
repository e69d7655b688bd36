<?php

// Tells its environment on stderr, and something on stdout unless that is the relay.

require __DIR__ . '/goridge.php';

foreach (['RR_RELAY', 'RR_RPC', 'RR_VERSION', 'RR_MODE', 'COLOUR', 'HOME'] as $name) {
    \fwrite(\STDERR, "$name=" . \getenv($name) . "\n");
}
if (\getenv('RR_RELAY') !== 'pipes') {
    echo "stdout speaking\n";
}
$relay = Relay::start();
while ($relay->waitEmail() !== null) {
    $relay->answer('CONTINUE');
}
