<?php

// A worker with RoadRunner's packages: `composer install`, then `fastsmtp serve` in this directory.

declare(strict_types=1);

use Spiral\RoadRunner\Payload;
use Spiral\RoadRunner\Worker;

require __DIR__ . '/vendor/autoload.php';

$worker = Worker::create();
while ($payload = $worker->waitPayload()) {
    try {
        $email = json_decode($payload->header, true, flags: JSON_THROW_ON_ERROR);
        $login = $email['authentication'];
        $attachments = count($email['attachments']);
        // What goes to stderr is logged by the server.
        error_log(sprintf(
            '%s -> %s: %s, %d %s%s',
            $email['envelope']['from'],
            implode(', ', $email['envelope']['to']),
            $email['message']['subject'] ?? '(no subject)',
            $attachments,
            $attachments === 1 ? 'attachment' : 'attachments',
            $login['attempted'] ? ", {$login['username']} logged in with {$login['password']}" : '',
        ));
        $worker->respond(new Payload('', 'CONTINUE')); // or 'CLOSE', to end the SMTP session
    } catch (Throwable $error) {
        $worker->error((string) $error); // logged; the mail is accepted all the same
    }
}
