<?php

// Takes every email as a real worker would: decodes it, writes its X-Bench-ID to RECORDS-<pid>, deletes its files. CONTINUE.

require __DIR__ . '/../tests/php/goridge.php';

// With --hostile there are mails with an X-Fate, too: they are not recorded, and it obeys.

$relay = Relay::start();
$records = \fopen(\getenv('RECORDS') . '-' . \getmypid(), 'ab');
while (($context = $relay->waitEmail()) !== null) {
    $email = \json_decode($context, true, 512, \JSON_THROW_ON_ERROR);
    $fate = $email['message']['headers']['X-Fate'] ?? '';
    match ($fate) {
        'crash', 'crash-recorded' => exit(3),
        'hang', 'half', 'closes' => \sleep(1000),
        'garbage', 'bad-crc', 'bad-option' => $relay->write("PHP Warning: this is no frame\n"),
        default => null,
    };
    if (isset($email['message']['headers']['X-Bench-ID'])) {
        \fwrite($records, $email['message']['headers']['X-Bench-ID'] . "\n");
    }
    foreach ($email['attachments'] as $attachment) {
        if (isset($attachment['path'])) {
            \unlink($attachment['path']);
        }
    }
    $fate === 'error' ? $relay->error('no') : $relay->answer('CONTINUE');
    if ($fate === 'twice') {
        $relay->answer('CONTINUE');
    }
}
