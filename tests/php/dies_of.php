<?php

// Ends with status 3 in the middle of an email whose subject is "poison"; keeps others, and says CONTINUE. While the file
// CURE exists it survives all.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
$records = \fopen(\getenv('RECORDS') . '-' . \getmypid(), 'ab');
while (($context = $relay->waitEmail()) !== null) {
    $subject = \json_decode($context, true, 512, \JSON_THROW_ON_ERROR)['message']['subject'];
    if ($subject === 'poison' && !\file_exists(\getenv('CURE'))) {
        exit(3);
    }
    \fwrite($records, $context . "\n");
    $relay->answer('CONTINUE');
}
