<?php

declare(strict_types=1);

use Fastsmtp\Testing\Inbox;
use Symfony\Component\Mailer\Mailer;
use Symfony\Component\Mailer\Transport;
use Symfony\Component\Mime\Email;

/** Stands for the application under test. */
trait Sends
{
    private function send(Inbox $inbox, string $to, string $subject = 'Welcome', string $text = "Hello.\n"): void
    {
        $mail = (new Email())->from('Shop <shop@example.com>')->to($to)->subject($subject)->text($text);
        $mail->html('<a href="https://x.test/go">Go</a>')->attach('%PDF', 't.pdf', 'application/pdf');
        $mail->getHeaders()->addTextHeader('X-Batch', '7');
        (new Mailer(Transport::fromDsn($inbox->symfonyDsn())))->send($mail);
    }
}
