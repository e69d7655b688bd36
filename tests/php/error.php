<?php

// Answers every email with an ERROR frame.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
while ($relay->waitEmail() !== null) {
    $relay->error('the database is gone');
}
