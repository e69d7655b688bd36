<?php

// Asks for its own restart with its first email, unless the file RESTARTED exists, which it makes.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
while ($relay->waitEmail() !== null) {
    if (@\touch(\getenv('RESTARTED')) && \filesize(\getenv('RESTARTED')) === 0) {
        \file_put_contents(\getenv('RESTARTED'), 'once');
        $relay->answer('{"stop":true}');
        continue;
    }
    $relay->answer('CONTINUE');
}
