<?php

declare(strict_types=1);

use Fastsmtp\Testing\InboxException;
use Fastsmtp\Testing\InteractsWithInbox;
use Fastsmtp\Testing\NotAsExpected;
use Fastsmtp\Testing\Server;
use PHPUnit\Framework\TestCase;

final class InboxTest extends TestCase
{
    use InteractsWithInbox;
    use Sends;

    public function testAMailHasAllThatATestAsksFor(): void
    {
        $this->send($this->inbox(), 'b@example.com', 'Grüße', "Your code is 482913.\n");
        $mail = $this->assertMailReceived(['to' => 'b@example.com', 'header.X-Batch' => '7']);
        self::assertSame(['shop@example.com', ['b@example.com']], [$mail->sender, $mail->recipients]);
        self::assertSame(['shop@example.com', ['b@example.com'], [], []], [$mail->from, $mail->to, $mail->cc, $mail->replyTo]);
        self::assertSame(['Grüße', "Your code is 482913.\r\n"], [$mail->subject, $mail->text()]);
        self::assertSame('<a href="https://x.test/go">Go</a>', $mail->html());
        self::assertSame([['https://x.test/go'], ['482913']], [$mail->links(), $mail->codes()]);
        self::assertSame([['t.pdf' => '%PDF'], '7'], [$mail->attachments(), $mail->header('x-batch')]);
        self::assertStringContainsString('X-Batch: 7', $mail->raw());
        self::assertNull($mail->username);
    }

    public function testTwentyMailsExactlyTheseAndNoneToOthers(): void
    {
        $readers = array_map(static fn(int $number): string => "reader$number@example.com", range(1, 20));
        foreach ($readers as $reader) {
            $this->send($this->inbox(), $reader);
        }
        $this->assertMailsExactly(array_fill_keys($readers, 1));
    }

    public function testEachTestHasAnInboxOfItsOwn(): void
    {
        self::assertSame([], $this->inbox()->mails());
        $this->assertNoMail(within: '20ms');
        $this->assertMailCount(0, within: '20ms');
        $this->send($this->inbox(), 'b@example.com');
        $this->assertMailCount(1, ['subject' => 'Welcome']);
        self::assertSame('Welcome', $this->inbox()->waitOne()->subject);
        self::assertSame(1, $this->inbox()->ledger()['store']['present']);
    }

    public function testWaitsLookBehindACursor(): void
    {
        $this->send($this->inbox(), 'b@example.com', 'old');
        $cursor = $this->inbox()->cursor();
        $this->send($this->inbox(), 'b@example.com', 'new');
        self::assertSame('new', $this->inbox()->waitOne(after: $cursor)->subject);
        self::assertSame(1, $this->inbox()->expect([['exactly' => 1]], after: $cursor)['mails']);
    }

    public function testTheReportOfTheServerIsTheFailure(): void
    {
        $this->send($this->inbox(), 'b@example.com', 'Welcome back');
        try {
            $this->inbox()->wait(1, ['subject' => 'Welcome'], '50ms');
        } catch (NotAsExpected $failure) {
            $lines = explode("\n", $failure->getMessage());
            self::assertSame('x at least 1 subject "Welcome": got 0', $lines[1]);
            self::assertSame($this->inbox()->page, end($lines));
            return;
        }
        self::fail('it did not fail');
    }

    public function testAGoldenMail(): void
    {
        $golden = sys_get_temp_dir() . '/golden-' . bin2hex(random_bytes(4)) . '/welcome.eml';
        $this->send($this->inbox(), 'b@example.com');
        putenv('FASTSMTP_GOLDEN=write');
        $this->assertMailLike($golden);
        putenv('FASTSMTP_GOLDEN');
        $cursor = $this->inbox()->cursor();
        $this->send($this->inbox(), 'c@example.com');
        $this->assertMailLike($golden, ['to' => 'b@example.com']);
        try {
            $this->inbox()->expectLike($golden, ['to' => 'c@example.com']);
        } catch (NotAsExpected $failure) {
            $lines = array_values(preg_grep('/^[-+] /', explode("\n", $failure->getMessage())));
            self::assertSame(['- To: b@example.com', '+ To: c@example.com'], $lines);
        }
        self::assertNotSame($cursor, $this->inbox()->cursor());
        unlink($golden);
        rmdir(dirname($golden));
    }

    public function testSettingsOfFrameworks(): void
    {
        $inbox = $this->inbox();
        self::assertSame("smtp://$inbox->host:$inbox->port?auto_tls=false", $inbox->symfonyDsn());
        $expected = ['MAIL_MAILER' => 'smtp', 'MAIL_HOST' => $inbox->host, 'MAIL_PORT' => (string) $inbox->port,
            'MAIL_USERNAME' => '', 'MAIL_PASSWORD' => ''];
        self::assertSame($expected, $inbox->laravelEnv());
    }

    public function testAnInboxCanBeClosed(): void
    {
        $other = Server::get()->openInbox('other', ['keep' => 'summary']);
        $this->send($other, 'b@example.com');
        self::assertCount(1, $other->mails());
        $other->close();
        $other->close();
        $this->expectException(InboxException::class);
        $this->expectExceptionMessage('there is no namespace');
        $other->mails();
    }
}
