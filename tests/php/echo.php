<?php

// Answers with the context of the email itself, so that a test says what the answer is.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
while (($context = $relay->waitEmail()) !== null) {
    $relay->answer($context, 'a body that is not read');
}
