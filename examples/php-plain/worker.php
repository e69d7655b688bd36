<?php

// A worker without any package: Goridge frames by hand, over the Unix or TCP socket of RR_RELAY.

declare(strict_types=1);

const CONTROL = 0x01;
const ERROR_FRAME = 0x40;

/** What to do with a mail; see docs/payload.md for all there is in it. */
function handle(array $email): string
{
    $login = $email['authentication'];
    $attachments = count($email['attachments']);
    error_log(sprintf(
        '%s -> %s: %s, %d %s%s',
        $email['envelope']['from'],
        implode(', ', $email['envelope']['to']),
        $email['message']['subject'] ?? '(no subject)',
        $attachments,
        $attachments === 1 ? 'attachment' : 'attachments',
        $login['attempted'] ? ", {$login['username']} logged in with {$login['password']}" : '',
    ));
    return 'CONTINUE'; // or 'CLOSE', to end the SMTP session
}

/** Flags, options and payload of the next frame; null when the server is gone. */
function receive($relay): ?array
{
    $header = stream_get_contents($relay, 12);
    if (strlen($header) < 12) {
        return null;
    }
    ['first' => $first, 'flags' => $flags, 'length' => $length] = unpack('Cfirst/Cflags/Vlength', $header);
    $option_bytes = (($first & 0x0F) - 3) * 4;
    $options = $option_bytes > 0 ? array_values(unpack('V*', stream_get_contents($relay, $option_bytes))) : [];
    return [$flags, $options, $length > 0 ? stream_get_contents($relay, $length) : ''];
}

function send($relay, string $payload, array $options = [], int $flags = 0): void
{
    $checked = pack('CCV', 1 << 4 | (3 + count($options)), $flags, strlen($payload));
    $frame = $checked . pack('VCCV*', crc32($checked), 0, 0, ...$options) . $payload;
    while ($frame !== '') {
        $written = fwrite($relay, $frame);
        if ($written === false || $written === 0) {
            exit(1); // the server is gone
        }
        $frame = substr($frame, $written);
    }
}

$relay = stream_socket_client((string) getenv('RR_RELAY'));
while (($frame = receive($relay)) !== null) {
    [$flags, $options, $payload] = $frame;
    if ($flags & CONTROL) {
        if (!str_contains($payload, 'pid')) {
            break; // {"stop":true}
        }
        send($relay, json_encode(['pid' => getmypid()]), [], CONTROL);
        continue;
    }
    try {
        $answer = handle(json_decode(substr($payload, 0, $options[0]), true, flags: JSON_THROW_ON_ERROR));
        send($relay, $answer, [strlen($answer)]);
    } catch (Throwable $error) {
        send($relay, (string) $error, [], ERROR_FRAME); // logged; the mail is accepted all the same
    }
}
