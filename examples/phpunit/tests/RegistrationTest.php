<?php

declare(strict_types=1);

use PHPUnit\Framework\TestCase;

require_once __DIR__ . '/MailServer.php';

final class RegistrationTest extends TestCase
{
    private static MailServer $server;

    public static function setUpBeforeClass(): void
    {
        self::$server = new MailServer();
    }

    protected function setUp(): void
    {
        self::$server->clear();
    }

    protected function onNotSuccessfulTest(Throwable $error): never
    {
        fwrite(STDERR, "\nThe mail server, during the test that failed:\n" . self::$server->log());
        throw $error;
    }

    public function testRegistrationSendsAMail(): void
    {
        // Stands for the application under test, with MAILER_DSN or MAIL_HOST and MAIL_PORT set to this server.
        $this->send(self::$server->host, self::$server->port);

        // The mail is there as soon as it was accepted: no need to wait.
        $mails = self::$server->mails();
        self::assertCount(1, $mails);
        self::assertSame(['new@example.com'], $mails[0]['envelope']['to']);
        self::assertSame('Welcome', $mails[0]['message']['subject']);
    }

    private function send(string $host, int $port): void
    {
        $socket = stream_socket_client("tcp://$host:$port");
        fgets($socket);
        $commands = ['HELO shop', 'MAIL FROM:<shop@example.com>', 'RCPT TO:<new@example.com>', 'DATA',
            "Subject: Welcome\r\n\r\nThank you.\r\n.", 'QUIT'];
        foreach ($commands as $command) {
            fwrite($socket, "$command\r\n");
            fgets($socket);
        }
    }
}
