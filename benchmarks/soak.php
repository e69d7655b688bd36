<?php

// Takes every email as a real worker would: decodes it, writes its X-Bench-ID to RECORDS-<pid>, deletes its files. CONTINUE.

require __DIR__ . '/../tests/php/goridge.php';

$relay = Relay::start();
$records = \fopen(\getenv('RECORDS') . '-' . \getmypid(), 'ab');
while (($context = $relay->waitEmail()) !== null) {
    $email = \json_decode($context, true, 512, \JSON_THROW_ON_ERROR);
    \fwrite($records, $email['message']['headers']['X-Bench-ID'] . "\n");
    foreach ($email['attachments'] as $attachment) {
        if (isset($attachment['path'])) {
            \unlink($attachment['path']);
        }
    }
    $relay->answer('CONTINUE');
}
