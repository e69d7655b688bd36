<?php

declare(strict_types=1);

use Fastsmtp\Testing\InteractsWithInbox;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Mailer\Mailer;
use Symfony\Component\Mailer\Transport;
use Symfony\Component\Mime\Email;

final class SignUpTest extends TestCase
{
    use InteractsWithInbox;

    public function testSigningUpSendsACode(): void
    {
        $this->signUp('ann@example.com');
        $mail = $this->assertMailReceived(['to' => 'ann@example.com', 'subject' => 'Confirm*']);
        self::assertMatchesRegularExpression('/^\d{6}$/', $mail->codes()[0]);
        $this->assertMailsExactly(['ann@example.com' => 1]);
    }

    public function testARefusedRecipientIsTold(): void
    {
        $refusal = ['id' => 'unknown', 'when' => ['at' => 'rcpt'], 'do' => ['reply' => '550 5.1.1 No such user']];
        $this->inbox()->faults(['rules' => [$refusal]]);
        $this->expectExceptionMessage('550 5.1.1 No such user');
        $this->signUp('nosuch@example.com');
    }

    /** Stands for the application under test; in one of Symfony MAILER_DSN is set to this. */
    private function signUp(string $address): void
    {
        $mailer = new Mailer(Transport::fromDsn($this->inbox()->symfonyDsn()));
        $text = 'Your code is ' . random_int(100000, 999999) . '.';
        $mailer->send((new Email())->from('shop@example.com')->to($address)->subject('Confirm your address')->text($text));
    }
}
