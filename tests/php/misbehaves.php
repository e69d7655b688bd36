<?php

// Does with each email what its header X-Fate says. Whatever it takes it records in RECORDS-<pid>, one line each: uuid,
// address of the client, size, X-ID, fate. Of emails that it takes it deletes the files. Mode "jobs" as well as "smtp".

require __DIR__ . '/goridge.php';

$jobs = \getenv('RR_MODE') === 'jobs';
$relay = Relay::start();
$records = \fopen(\getenv('RECORDS') . '-' . \getmypid(), 'ab');
while (($frame = $relay->readFrame()) !== null && !($frame[0] & CONTROL)) {
    [, [$length], $payload] = $frame;
    $email = \json_decode($jobs ? \substr($payload, $length) : \substr($payload, 0, $length), true);
    $headers = $email['message']['headers'] ?? [];
    $fate = $headers['X-Fate'] ?? '';
    [$context, $body] = $jobs ? ['', '{"type":0,"data":{}}'] : ['CONTINUE', ''];
    match ($fate) {
        'crash' => exit(3),
        'hang' => \sleep(1000),
        'restart' => $relay->answer('{"stop":true}'),
        default => null,
    };
    if ($fate === 'restart') {
        exit(0);
    }
    $id = \preg_match('/^[0-9a-z-]{1,40}$/', $headers['X-ID'] ?? '') ? $headers['X-ID'] : '?';
    $size = $email['message']['size'] ?? 'no-json';
    \fwrite($records, ($email['uuid'] ?? '?') . ' ' . ($email['remote_addr'] ?? '?') . " $size $id $fate\n");
    if (!\in_array($fate, ['crash-recorded', 'garbage', 'half', 'bad-crc', 'bad-option', 'closes'], true)) {
        foreach ($email['attachments'] ?? [] as $attachment) {
            isset($attachment['path']) && \unlink($attachment['path']);
        }
    }
    $answer = Relay::header(\strlen($context . $body), [\strlen($context)]) . $context . $body;
    switch ($fate) {
        case 'crash-recorded':
            exit(4);
        case 'crash-after':
            $relay->write($answer);
            exit(5);
        case 'twice':
            $relay->write($answer . $answer);
            break;
        case 'garbage':
            $relay->write("\x9b2J\u{202e}PHP Warning: this is no frame\n");
            \sleep(1000);
            break;
        case 'half':
            $relay->write(\substr($answer, 0, 9));
            \sleep(1000);
            break;
        case 'bad-crc':
            $relay->write(Relay::header(8, [8], 0, 1) . 'CONTINUE');
            \sleep(1000);
            break;
        case 'bad-option':
            $relay->write(Relay::header(8, [0xFFFFFFFF]) . 'CONTINUE');
            break;
        case 'closes':
            $relay->close();
            \sleep(1000);
            break;
        case 'slow':
            \usleep(50_000);
            $relay->write($answer);
            break;
        case 'error':
            $relay->error("no\x9b\u{2028}\x7f");
            break;
        case 'stderr':
            \fwrite(\STDERR, \str_repeat("\x1b[31m\x9b\u{202e}", 2000) . "\n");
            $relay->write($answer);
            break;
        case 'close':
            $relay->answer('CLOSE');
            break;
        default:
            $relay->write($answer);
    }
}
